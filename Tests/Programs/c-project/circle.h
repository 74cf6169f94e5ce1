int circle(int radius);
