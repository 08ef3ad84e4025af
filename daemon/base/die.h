/* die.h - the end that cannot be handled: our own bug, or no memory for a small fixed thing. */
#pragma once

/* Says why on stderr, then aborts, so that the service manager restarts us. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
