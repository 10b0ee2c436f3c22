/* Lets User-Mode Linux 6.1 run on processors with more registers than it knows, such as those of AMX.
 *
 * It keeps the extended state of a process in 2696 bytes, the most that there were before AMX
 * (XSAVE, Intel SDM volume 1, chapter 13), and a kernel with more of it takes that state back only
 * whole: PTRACE_SETREGSET fails, and with it the first program of the guest. Preloaded, this
 * keeps what does not fit as it is: the guest's programs have no use for it.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

typedef long ptrace_function(enum __ptrace_request, pid_t, void *, void *);

/* Not on the stack: that of a process in the guest has 16 KiB. A signal may come in between. */
static char states[8][1 << 14];
static unsigned deep;

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static long set_state(ptrace_function *call, pid_t pid, const struct iovec *given)
{
	char *state = states[deep++ % 8];
	struct iovec whole = { state, sizeof states[0] };
	long result = call(PTRACE_GETREGSET, pid, (void *)NT_X86_XSTATE, &whole);

	if (!result) {
		memcpy(state, given->iov_base, smaller(given->iov_len, whole.iov_len));
		result = call(PTRACE_SETREGSET, pid, (void *)NT_X86_XSTATE, &whole);
	}
	deep--;
	return result;
}

long ptrace(enum __ptrace_request request, ...)
{
	static ptrace_function *call;
	va_list arguments;
	va_start(arguments, request);
	pid_t pid = va_arg(arguments, pid_t);
	void *address = va_arg(arguments, void *);
	void *data = va_arg(arguments, void *);
	va_end(arguments);

	if (!call)
		call = (ptrace_function *)dlsym(RTLD_NEXT, "ptrace");
	if (request == PTRACE_SETREGSET && (long)address == NT_X86_XSTATE)
		return set_state(call, pid, data);
	return call(request, pid, address, data);
}
