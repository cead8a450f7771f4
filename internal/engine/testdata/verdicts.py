import ctypes, os, socket

libc = ctypes.CDLL(None, use_errno=True)
m = os.memfd_create("program", 0)
with open("/bin/true", "rb") as f:
    os.write(m, f.read())
if os.fork() == 0:
    os.execv("/proc/self/fd/%d" % m, ["program"])
os.wait()
if os.fork() == 0:
    libc.ptrace(0, 0, 0, 0)  # PTRACE_TRACEME fails for one that is traced
    os._exit(0)
os.wait()
libc.ptrace(16, 1, 0, 0)  # PTRACE_ATTACH to init
for path in ("/proc/1/environ", "/proc/self/environ", "/etc/pam.conf", "/root/.ssh/id_rsa", "/etc/kubernetes/nothing"):
    try:
        open(path, "rb").read(10)
    except OSError:
        pass
for path in ("/bin/falcotest/none", "/usr/lib/falcotest/none", "/etc/falcotest/none", "/root/falcotest/none", "/dev/falcotest/none", "/var/lib/rpm/none/none"):
    try:
        open(path, "w")
    except OSError:
        pass
    try:
        os.mkdir(path)
    except OSError:
        pass
    try:
        os.rename(path, path + "2")
    except OSError:
        pass
try:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
except OSError:
    pass
s = socket.socket()
s.settimeout(0.01)
try:
    s.connect(("169.254.169.254", 80))
except OSError:
    pass
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.bind(("127.0.0.1", 0))
u.sendto(b"x", u.getsockname())
u.recvfrom(1)
os.setuid(os.getuid())
