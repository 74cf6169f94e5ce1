// How the sanitizers act in every program that scripts/sanitize.sh builds. It is in the program, not in the environment:
// tests give the programs that they start an environment of their own, and mounts outlive them. Linked by sanitize.sh.
//
// REPORTS is the start of the path of each report (.PROCESS follows), SUPPRESSIONS is the list thread.txt, SYMBOLIZER is
// the program that finds the names of functions. TSAN_OPTIONS and ASAN_OPTIONS go before what is here.
#define COMMON "exitcode=66:log_path=" REPORTS ":external_symbolizer_path=" SYMBOLIZER

const char *__tsan_default_options(void);
const char *__asan_default_options(void);

// What memcpy(3), read(2) and free(3) touch does not count: the runtime calls them with orders of its own.
const char *__tsan_default_options(void) {
    return COMMON ":ignore_interceptors_accesses=1:suppressions=" SUPPRESSIONS;
}

// Exit tests and commands end on purpose, with what they allocated: that is no leak.
const char *__asan_default_options(void) {
    return COMMON ":detect_leaks=0:detect_stack_use_after_return=0";
}
