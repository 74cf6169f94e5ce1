#include <stdio.h>

#include "circle.h"
#include "square.h"

int main(void) {
    printf("%d %d\n", circle(2), square(3));
    return 0;
}
