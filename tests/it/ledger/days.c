/* The calendar's clock, some days ahead; all others as they are. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    int failed = syscall(SYS_clock_gettime, clock, time);
    const char *days = getenv("WHOSAW_TEST_DAYS");
    if (!failed && clock == CLOCK_REALTIME && days)
        time->tv_sec += atol(days) * 86400;
    return failed;
}
