# System calls of many kinds, most of them by number to be sure which. Where a
# call could do harm, its arguments make it fail.
import ctypes, os, platform, socket, struct

libc = ctypes.CDLL(None, use_errno=True)
buf = ctypes.create_string_buffer


def call(nr, *args):
    return libc.syscall(ctypes.c_long(nr), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])


s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(1)
c = socket.create_connection(s.getsockname()); a, _ = s.accept()
c.send(b"hello"); a.recv(10); a.shutdown(socket.SHUT_WR)
c.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1); c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
a.close(); c.close(); s.close()
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 0))
u.sendto(b"x", u.getsockname()); u.recvfrom(10)
u.sendmsg([b"y", b"z"], [], 0, u.getsockname()); u.recvmsg(10); u.close()
x, y = socket.socketpair(); x.send(b"1"); y.recv(1); x.sendmsg([b"ab"]); y.recvmsg(4)
p, q = os.pipe(); os.write(q, b"z"); os.read(p, 1); os.dup2(p, 20); os.close(20)
t = socket.socket(socket.AF_UNIX); t.bind("sock"); t.listen(1)
v = socket.socket(socket.AF_UNIX); v.connect("sock"); v.close(); t.close()
six = socket.socket(socket.AF_INET6)
try:
    six.bind(("::1", 0))
except OSError:
    pass
six.close()
d = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
os.close(os.open("made", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640, dir_fd=d))
os.rename("made", "renamed", src_dir_fd=d, dst_dir_fd=d)
os.unlink("renamed", dir_fd=d)
m = os.memfd_create("mem"); os.write(m, b"x"); os.close(m)

if platform.machine() != "x86_64":
    raise SystemExit  # the numbers below are of 64-bit x86

f = call(2, b"plain", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)  # open
call(85, b"created", 0o644)  # creat
call(87, b"created")  # unlink
call(86, b"plain", b"linked")  # link
call(88, b"plain", b"symbolic")  # symlink
call(82, b"linked", b"moved")  # rename
call(264, d, b"moved", d, b"again")  # renameat
call(83, b"folder", 0o700)  # mkdir
call(258, d, b"folder2", 0o711)  # mkdirat
call(84, b"folder")  # rmdir
call(263, d, b"folder2", 0x200)  # unlinkat
call(90, b"plain", 0o4711)  # chmod
call(91, f, 0o600)  # fchmod
call(92, b"plain", os.getuid(), os.getgid())  # chown
call(93, f, os.getuid(), os.getgid())  # fchown
call(94, b"symbolic", os.getuid(), os.getgid())  # lchown
call(133, b"fifo", 0o10644, 0)  # mknod
call(259, d, b"fifo2", 0o10600, 0)  # mknodat
call(1, f, b"hello world", 11)  # write
call(17, f, buf(16), 5, 2)  # pread64
call(18, f, b"HE", 2, 0)  # pwrite64
one, two = buf(b"abc"), buf(b"de")
call(20, f, buf(struct.pack("QQQQ", ctypes.addressof(one), 3, ctypes.addressof(two), 2)), 2)  # writev
call(8, f, 0, 0)  # lseek
call(8, f, 0, 2)
call(73, f, 2 | 4)  # flock
call(77, f, 3)  # ftruncate
call(4, b"plain", buf(256))  # stat
call(6, b"symbolic", buf(256))  # lstat
call(5, f, buf(256))  # fstat
call(21, b"plain", 4)  # access
call(79, buf(4096), 4096)  # getcwd
call(80, b".")  # chdir
call(81, d)  # fchdir
call(32, f)  # dup
call(292, f, 30, os.O_CLOEXEC)  # dup3
call(22, buf(8))  # pipe
call(293, buf(8), os.O_CLOEXEC)  # pipe2
call(290, 3, os.O_NONBLOCK)  # eventfd2
call(284, 1)  # eventfd
call(283, 1, 0)  # timerfd_create
call(253)  # inotify_init
call(294, os.O_CLOEXEC)  # inotify_init1
call(213, 1)  # epoll_create
call(291, os.O_CLOEXEC)  # epoll_create1
call(289, -1, buf(struct.pack("Q", 1 << 9)), 8, os.O_CLOEXEC)  # signalfd4
call(7, buf(struct.pack("ihh", p, 1, 0)), 1, 0)  # poll
call(35, buf(struct.pack("qq", 0, 1000)), 0)  # nanosleep
call(97, 7, buf(16))  # getrlimit
call(160, 4, buf(struct.pack("QQ", 0, 0)))  # setrlimit
call(302, 0, 4, 0, buf(16))  # prlimit64
call(109, 999999, 0)  # setpgid; Falco does not follow one that succeeds
call(102); call(104); call(107); call(108)  # getuid getgid geteuid getegid
call(118, buf(4), buf(4), buf(4))  # getresuid
call(120, buf(4), buf(4), buf(4))  # getresgid
call(105, os.getuid()); call(106, os.getgid())  # setuid setgid
call(113, -1, os.getuid()); call(114, -1, os.getgid())  # setreuid setregid
call(117, -1, os.getuid(), -1); call(119, -1, os.getgid(), -1)  # setresuid setresgid
call(272, 0x400)  # unshare CLONE_FILES
call(308, 999, 0)  # setns
call(165, b"none", b"nowhere", b"tmpfs", 14, 0)  # mount
call(166, b"nowhere", 2)  # umount2
call(161, b"/nowhere")  # chroot
call(101, 17, 999999, 0, 0)  # ptrace
call(157, 15, b"renamed", 0, 0, 0)  # prctl
call(62, os.getpid(), 0)  # kill
call(200, os.getpid(), 0)  # tkill
call(234, os.getpid(), os.getpid(), 0)  # tgkill
call(317, 9, 0, 0)  # seccomp
call(321, 99, 0, 0)  # bpf
call(434, os.getpid(), 0)  # pidfd_open
call(438, 999, 0, 0)  # pidfd_getfd
call(437, d, b"plain", buf(struct.pack("QQQ", 0, 0, 8)), 24)  # openat2
call(304, 999, 0, 0)  # open_by_handle_at
call(326, f, 0, f, 0, 0, 0)  # copy_file_range
call(40, f, f, 0, 1)  # sendfile
call(325, 4096, 1, 99)  # mlock2
call(10, 0, 4096, 5)  # mprotect
call(9, 0, 4096, 3, 0x22, -1, 0)  # mmap
call(11, 0, 0)  # munmap
call(12, 0)  # brk
call(202, buf(4), 1, 1, 0)  # futex
call(425, 0, buf(200))  # io_uring_setup
call(426, 999, 0, 0, 3, 0, 0)  # io_uring_enter
call(427, 999, 1, 0, 0)  # io_uring_register
call(126, buf(8), buf(24))  # capset
call(64, 0x77770001, 0, 0)  # semget
call(66, 9999, 0, 0, 0)  # semctl
call(65, 9999, buf(6), 1)  # semop
call(179, 0x80000100, b"/nowhere", 0, 0)  # quotactl
call(313, 999, b"x", 1)  # finit_module
call(275, p, 0, q, 0, 1, 2)  # splice
call(431, 999, 5, 0, 0, 0)  # fsconfig
call(322, 999, b"", 0, 0, 0x1000)  # execveat
call(310, 999999, 0, 0, 0, 0, 0)  # process_vm_readv
call(217, d, buf(64), 64)  # getdents64
call(262, -100, b"plain", buf(256), 0x100)  # newfstatat
call(260, d, b"plain", os.getuid(), os.getgid(), 0)  # fchownat
call(268, d, b"plain", 0o640)  # fchmodat
call(265, d, b"plain", d, b"hard", 0x400)  # linkat
call(266, b"target", d, b"soft")  # symlinkat
call(269, d, b"plain", 4)  # faccessat
call(59, b"/nowhere", 0, 0)  # execve
