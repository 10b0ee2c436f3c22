/* Makes every system call that a sandbox forbids, and prints the error of each as JSON.
 * With a word, makes one by another way than a program of this architecture does. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *separator = "{";

static void tell(const char *name, long result)
{
    const char *error = result >= 0 ? "done" : strerrorname_np(errno);
    printf("%s\"%s\": \"%s\"", separator, name, error);
    fflush(stdout);
    separator = ", ";
}

#define TRY(name, ...) tell(#name, syscall(SYS_##name, __VA_ARGS__))

static void try_clone(const char *name, unsigned long flag)
{
    long pid = syscall(SYS_clone, flag | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        _exit(0);
    int error = errno;
    if (pid > 0)
        waitpid(pid, 0, 0);
    errno = error;
    tell(name, pid);
}

int main(int count, char **words)
{
    char buffer[256] = {0};
#ifdef __x86_64__
    if (count > 1 && !strcmp(words[1], "i386")) {
        long pid;
        __asm__ volatile("int $0x80" : "=a"(pid) : "a"(20 /* getpid */) : "memory");
        printf("%ld\n", pid);
        return 0;
    }
    if (count > 1 && !strcmp(words[1], "x32")) {
        printf("%ld\n", syscall(0x40000000 | SYS_getpid));
        return 0;
    }
#endif
    try_clone("clone NEWUSER", CLONE_NEWUSER);
    try_clone("clone NEWNS", CLONE_NEWNS);
    try_clone("clone NEWNET", CLONE_NEWNET);
    try_clone("clone NEWPID", CLONE_NEWPID);
    try_clone("clone NEWIPC", CLONE_NEWIPC);
    try_clone("clone NEWUTS", CLONE_NEWUTS);
    try_clone("clone NEWCGROUP", CLONE_NEWCGROUP);
    TRY(clone3, buffer, 64);
    TRY(unshare, CLONE_NEWUSER);
    TRY(setns, 0, 0);
    TRY(mount, "none", "/work", "tmpfs", 0, 0);
    TRY(umount2, "/work", 2);
    TRY(pivot_root, "/work", "/work");
    TRY(chroot, "/work");
    TRY(fsopen, "tmpfs", 0);
    TRY(fsconfig, -1, 6, 0, 0, 0);
    TRY(fsmount, -1, 0, 0);
    TRY(fspick, -100, "/work", 0);
    TRY(open_tree, -100, "/work", 1);
    TRY(move_mount, -1, "", -1, "", 0);
#ifdef SYS_mount_setattr
    TRY(mount_setattr, -100, "/work", 0, buffer, 32);
#endif
    TRY(ptrace, 16 /* PTRACE_ATTACH */, 1, 0, 0);
    TRY(process_vm_readv, getppid(), 0, 0, 0, 0, 0);
    TRY(process_vm_writev, getppid(), 0, 0, 0, 0, 0);
    TRY(pidfd_getfd, -1, 0, 0);
    TRY(kcmp, 1, 1, 0, 0, 0);
    TRY(add_key, "user", "x", "x", 1, -3);
    TRY(request_key, "user", "x", 0, -3);
    TRY(keyctl, 0, -3, 1);
    TRY(bpf, 0, buffer, sizeof buffer);
    TRY(perf_event_open, buffer, 0, -1, -1, 0);
    TRY(userfaultfd, 1);
    TRY(io_uring_setup, 1, buffer);
    TRY(io_uring_enter, -1, 0, 0, 0, 0, 0);
    TRY(io_uring_register, -1, 0, 0, 0);
    TRY(memfd_create, "x", 0);
#ifdef SYS_memfd_secret
    TRY(memfd_secret, 0);
#endif
    TRY(shmget, 0, 4096, 01600);
    TRY(msgget, 0, 01600);
    TRY(open_by_handle_at, -100, buffer, 0);
    TRY(init_module, buffer, 1, "");
    TRY(finit_module, 0, "", 0);
    TRY(delete_module, "x", 0);
    TRY(kexec_load, 0, 0, 0, 0);
    TRY(swapon, "/work", 0);
    TRY(swapoff, "/work");
    TRY(reboot, 0, 0, 0, 0);
    TRY(quotactl, 0, 0, 0, 0);
    TRY(acct, "/work/x");
    TRY(syslog, 3, buffer, 1);
    TRY(fanotify_init, 0, 0);
    printf("}\n");
    return 0;
}
