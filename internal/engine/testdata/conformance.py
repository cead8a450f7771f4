import os, socket

s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(1)
c = socket.create_connection(s.getsockname()); a, _ = s.accept()
c.send(b"hello"); a.recv(10); a.close(); c.close(); s.close()
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 0))
u.sendto(b"x", u.getsockname()); u.recvfrom(10); u.close()
x, y = socket.socketpair(); x.send(b"1"); y.recv(1)
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
try:
    os.setuid(0)
except OSError:
    pass
