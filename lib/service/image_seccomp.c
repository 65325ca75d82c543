#include "service/image_seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, member))
#define ANSWER(value) BPF_STMT(BPF_RET | BPF_K, (value))
#define REFUSE(error) ANSWER(SECCOMP_RET_ERRNO | (error))
/* The next instruction is skipped unless the loaded value is that number. */
#define WHEN(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1)
#define ALLOW(name) WHEN(SYS_##name), ANSWER(SECCOMP_RET_ALLOW)

bool
image_seccomp(void)
{
#ifdef ARCHITECTURE
	static struct sock_filter rules[] = {
	    LOAD(arch),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
	    ANSWER(SECCOMP_RET_KILL_PROCESS),
	    LOAD(nr),
	    ALLOW(read),
	    ALLOW(readv),
	    ALLOW(pread64),
	    ALLOW(write),
	    ALLOW(writev),
	    ALLOW(sendto),
	    ALLOW(recvfrom),
	    ALLOW(close),
	    ALLOW(fstat),
	    ALLOW(newfstatat),
	    ALLOW(lseek),
	    ALLOW(ppoll),
	    ALLOW(mmap),
	    ALLOW(munmap),
	    ALLOW(mremap),
	    ALLOW(mprotect),
	    ALLOW(madvise),
	    ALLOW(brk),
	    ALLOW(futex),
	    ALLOW(set_robust_list),
	    ALLOW(rseq),
	    ALLOW(membarrier),
	    ALLOW(sched_yield),
	    ALLOW(sched_getaffinity),
	    ALLOW(rt_sigaction),
	    ALLOW(rt_sigprocmask),
	    ALLOW(rt_sigreturn),
	    ALLOW(sigaltstack),
	    ALLOW(restart_syscall),
	    ALLOW(getpid),
	    ALLOW(gettid),
	    ALLOW(getrandom),
	    ALLOW(clock_gettime),
	    ALLOW(clock_nanosleep),
	    ALLOW(nanosleep),
	    ALLOW(gettimeofday),
	    ALLOW(exit),
	    ALLOW(exit_group),
	    /* clone3's flags lie in memory, which a filter cannot see: glibc falls back to clone. */
	    WHEN(SYS_clone3),
	    REFUSE(ENOSYS),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3),
	    LOAD(args[0]),
	    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1),
	    ANSWER(SECCOMP_RET_ALLOW),
	    REFUSE(EPERM),
	};
	struct sock_fprog program = {.len = sizeof rules / sizeof *rules, .filter = rules};
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
#else
	return false;
#endif
}
