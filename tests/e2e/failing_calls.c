/* failing_calls - preloaded: makes the n-th call of a function fail, when a test says so.
 *
 * The test maps the file that $FAILING_CALLS_FILE names: struct control. Allocations count as one
 * function, whatever library asks for them.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* In the order of CALLS in test_72_torture.py. */
enum call {
	CALL_NONE,
	CALL_ALLOCATION,
	CALL_ACCEPT4,
	CALL_READV,
	CALL_RECV,
	CALL_SENDMSG,
	CALL_SEND,
	CALL_EPOLL_CTL,
	CALL_GETPEERNAME,
	CALL_SHA256,
	CALL_EVP_MAC_FETCH,
	CALL_EVP_MAC_CTX_NEW,
	CALL_EVP_MAC_INIT,
	CALL_EVP_MAC_UPDATE,
	CALL_EVP_MAC_FINAL,
	CALL_SSL_NEW,
	CALL_SSL_READ,
	CALL_SSL_WRITE,
	CALL_PQSENDQUERYPREPARED,
	CALL_PQSENDPREPARE,
	CALL_PQPIPELINESYNC,
	CALL_PQFLUSH,
	CALL_PQCONSUMEINPUT,
	CALL_PQGETRESULT,
};

struct control {
	int64_t call;   /* that is counted */
	int64_t fatal;  /* this one of them fails; 0 = none */
	int64_t row;    /* and those behind it: so many in a row */
	int64_t count;  /* so many there were */
	int64_t failed; /* so many failed */
};

static volatile struct control *control;

static void __attribute__((constructor)) map_control(void)
{
	const char *file = getenv("FAILING_CALLS_FILE");
	int fd = file ? open(file, O_RDWR | O_CLOEXEC) : -1;
	void *map =
		fd < 0 ? MAP_FAILED
		       : mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (fd >= 0) {
		close(fd);
	}
	if (map != MAP_FAILED) {
		control = map;
	}
}

/* Not static: some of those that it stands in for are inline functions of the C library. */
__attribute__((visibility("hidden"))) int fails(enum call call);
int fails(enum call call)
{
	if (!control || control->call != (int64_t)call) {
		return 0;
	}
	control->count++;
	if (control->fatal == 0 || control->count < control->fatal ||
		control->count >= control->fatal + control->row) {
		return 0;
	}
	control->failed++;
	return 1;
}

#define FAILING(call, name, type, failure, error, parameters, ...)                                 \
	type name parameters;                                                                      \
	type name parameters                                                                       \
	{                                                                                          \
		static type(*real) parameters;                                                     \
                                                                                                   \
		if (!real) {                                                                       \
			*(void **)&real = dlsym(RTLD_NEXT, #name);                                 \
		}                                                                                  \
		if (fails(call)) {                                                                 \
			errno = error;                                                             \
			return failure;                                                            \
		}                                                                                  \
		return real(__VA_ARGS__);                                                          \
	}

/* clang-format off */
FAILING(CALL_ALLOCATION, malloc, void *, NULL, ENOMEM, (size_t size), size)
FAILING(CALL_ALLOCATION, calloc, void *, NULL, ENOMEM, (size_t count, size_t size), count, size)
FAILING(CALL_ALLOCATION, realloc, void *, NULL, ENOMEM, (void *old, size_t size), old, size)
FAILING(CALL_ACCEPT4, accept4, int, -1, ENFILE,
	(int fd, __SOCKADDR_ARG peer, socklen_t *len, int flags), fd, peer, len, flags)
FAILING(CALL_READV, readv, ssize_t, -1, ECONNRESET,
	(int fd, const struct iovec *parts, int count), fd, parts, count)
FAILING(CALL_RECV, recv, ssize_t, -1, ECONNRESET,
	(int fd, void *bytes, size_t len, int flags), fd, bytes, len, flags)
FAILING(CALL_SENDMSG, sendmsg, ssize_t, -1, ENOBUFS,
	(int fd, const struct msghdr *message, int flags), fd, message, flags)
FAILING(CALL_SEND, send, ssize_t, -1, ECONNRESET,
	(int fd, const void *bytes, size_t len, int flags), fd, bytes, len, flags)
FAILING(CALL_EPOLL_CTL, epoll_ctl, int, -1, ENOMEM,
	(int epoll, int op, int fd, struct epoll_event *event), epoll, op, fd, event)
FAILING(CALL_GETPEERNAME, getpeername, int, -1, ENOTCONN,
	(int fd, __SOCKADDR_ARG peer, socklen_t *len), fd, peer, len)
FAILING(CALL_SHA256, SHA256, unsigned char *, NULL, ENOMEM,
	(const unsigned char *bytes, size_t len, unsigned char *out), bytes, len, out)
FAILING(CALL_EVP_MAC_FETCH, EVP_MAC_fetch, EVP_MAC *, NULL, ENOMEM,
	(OSSL_LIB_CTX *context, const char *name, const char *properties),
	context, name, properties)
FAILING(CALL_EVP_MAC_CTX_NEW, EVP_MAC_CTX_new, EVP_MAC_CTX *, NULL, ENOMEM,
	(EVP_MAC *algorithm), algorithm)
FAILING(CALL_EVP_MAC_INIT, EVP_MAC_init, int, 0, ENOMEM,
	(EVP_MAC_CTX *context, const unsigned char *key, size_t len, const OSSL_PARAM parameters[]),
	context, key, len, parameters)
FAILING(CALL_EVP_MAC_UPDATE, EVP_MAC_update, int, 0, ENOMEM,
	(EVP_MAC_CTX *context, const unsigned char *bytes, size_t len), context, bytes, len)
FAILING(CALL_EVP_MAC_FINAL, EVP_MAC_final, int, 0, ENOMEM,
	(EVP_MAC_CTX *context, unsigned char *out, size_t *len, size_t size),
	context, out, len, size)
FAILING(CALL_SSL_NEW, SSL_new, SSL *, NULL, ENOMEM, (SSL_CTX *context), context)
FAILING(CALL_SSL_READ, SSL_read, int, -1, ECONNRESET, (SSL *ssl, void *bytes, int len),
	ssl, bytes, len)
FAILING(CALL_SSL_WRITE, SSL_write, int, -1, ECONNRESET, (SSL *ssl, const void *bytes, int len),
	ssl, bytes, len)
FAILING(CALL_PQSENDQUERYPREPARED, PQsendQueryPrepared, int, 0, ENOMEM,
	(PGconn *conn, const char *name, int count, const char *const *values, const int *lengths,
	const int *formats, int format), conn, name, count, values, lengths, formats, format)
FAILING(CALL_PQSENDPREPARE, PQsendPrepare, int, 0, ENOMEM,
	(PGconn *conn, const char *name, const char *query, int count, const Oid *types),
	conn, name, query, count, types)
FAILING(CALL_PQPIPELINESYNC, PQpipelineSync, int, 0, ENOMEM, (PGconn *conn), conn)
FAILING(CALL_PQFLUSH, PQflush, int, -1, ECONNRESET, (PGconn *conn), conn)
FAILING(CALL_PQCONSUMEINPUT, PQconsumeInput, int, 0, ECONNRESET, (PGconn *conn), conn)
FAILING(CALL_PQGETRESULT, PQgetResult, PGresult *, NULL, ENOMEM, (PGconn *conn), conn)
/* clang-format on */
