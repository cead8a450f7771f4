// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"fmt"
	"strings"
	"sync"
)

// Kind is what an argument of a system call is.
type Kind string

// The kinds of arguments. Those with a set of names take the names, joined by
// "|", as well as numbers.
const (
	Number  Kind = "int"  // a number
	FD      Kind = "fd"   // a descriptor
	Path    Kind = "path" // a text that ends in a null byte
	Text    Kind = "text" // the same, for what is no path; a null pointer where it is not given
	Buffer  Kind = "buf"  // bytes
	Length  Kind = "len"  // the length of the buffer before it, unless it is given
	Vector  Kind = "iov"  // bytes, as one element of an iovec array; two raw arguments
	Address Kind = "addr" // a socket address; two raw arguments
	Message Kind = "msg"  // bytes in a struct msghdr
	List    Kind = "list" // texts, as an array of pointers
	How     Kind = "how"  // struct open_how and its size; two raw arguments
	Out     Kind = "out"  // room for what the kernel writes
	Pair    Kind = "pair" // room for two descriptors, readFd and writeFd
	Limit   Kind = "rlim" // struct rlimit: cur and max
	Groups  Kind = "gids" // numbers, as an array of gid_t and before it how many; two raw arguments
	Zero    Kind = "0"    // a null pointer or zero that no one sets
)

// MaxBuffer bounds what a call reads or writes at once.
const MaxBuffer = 16 << 20

// Arg is one argument of a system call.
type Arg struct {
	Name     string
	Other    []string // further names: of the kernel's manual, and of Falco's evt.arg
	Kind     Kind
	Set      string // of constants
	Optional bool
	Default  int64 // of a number that is not given
	Size     int   // of Out
}

// Takes tells whether a name, in any case and with or without underscores, is
// the argument's.
func (a *Arg) Takes(name string) bool {
	name = plain(name)
	if plain(a.Name) == name {
		return true
	}
	for _, other := range a.Other {
		if plain(other) == name {
			return true
		}
	}
	return false
}

// Settable tells whether tests give the argument.
func (a *Arg) Settable() bool { return a.Kind != Zero && a.Kind != Out && a.Kind != Pair }

func plain(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// Syscall is a system call that a step can make.
type Syscall struct {
	Name string
	Args []Arg // in the kernel's order
	// Child says that it is made in a process of its own, because the one that
	// makes it does not return from it, or may not have more than one thread.
	Child bool
}

// Arg returns the argument of that name, nil if there is none.
func (s *Syscall) Arg(name string) *Arg {
	for i := range s.Args {
		if s.Args[i].Takes(name) {
			return &s.Args[i]
		}
	}
	return nil
}

// eventNames are Falco's names of calls that the kernel names otherwise.
var eventNames = map[string]string{"prlimit64": "prlimit", "pread64": "pread", "pwrite64": "pwrite"}

// Event is what Falco calls the event of the call.
func (s *Syscall) Event() string {
	if name, ok := eventNames[s.Name]; ok {
		return name
	}
	return s.Name
}

// syscallTable says for each call its arguments in the kernel's order, each as
// name|other:kind or name:kind=set, with ? after it when it may be left out, and
// behind that what is taken then, if not 0. A number after out is how much room
// there is. A call with ! is made in a process of its own.
const syscallTable = `
accept fd:fd addr:0 addrlen:0
accept4 fd:fd addr:0 addrlen:0 flags:int=socketflags?
access pathname|path|name:path mode:int=access
add_key type:text description|desc:text payload:buf? plen:len? keyring:int=keyring
bind fd|sockfd:fd address|addr:addr
bpf cmd:int=bpf attr:buf? size:len?
capget
capset effective|capEffective:int=capability? permitted|capPermitted:int=capability? inheritable|capInheritable:int=capability?
chdir path:path
chmod pathname|path|filename:path mode:int=mode
chown pathname|path:path owner|uid:int group|gid:int
chroot path:path
clock_getres clockId:int=clock? res:out64
clock_gettime clockId:int=clock? tp:out64
clone flags:int=fork?
clone3 flags:int=fork?
close fd:fd
connect fd|sockfd:fd address|addr:addr
copy_file_range fdIn:fd offIn:0 fdOut:fd offOut:0 len:int flags:int?
creat pathname|name:path mode:int=mode?
delete_module name:text flags:int=open?
dup oldFd|fd:fd
dup2 oldFd:fd newFd:fd
dup3 oldFd:fd newFd:fd flags:int=dup3?
epoll_create size:int
epoll_create1 flags:int=epoll?
epoll_ctl epfd:fd op:int=epollctl fd:fd event:buf?
epoll_wait epfd:fd events:out256 maxevents:int timeout:int?
eventfd initval:int?
eventfd2 initval:int? flags:int=eventfd?
execve! pathname|filename:path argv:list? envp:list?
execveat! dirFd:fd=dirfd?-100 pathname:path argv:list? envp:list? flags:int=at?
faccessat dirFd:fd=dirfd?-100 pathname|path:path mode:int=access
faccessat2 dirFd:fd=dirfd?-100 pathname|path:path mode:int=access flags:int=at?
fadvise64 fd:fd offset:int? len:int? advice:int?
fallocate fd:fd mode:int? offset:int? len:int
fanotify_init flags:int? eventFlags:int=open?
fanotify_mark fd:fd flags:int=fanotify mask:int=watch dirFd:fd=dirfd?-100 pathname:path
fchdir fd:fd
fchmod fd:fd mode:int=mode
fchmodat dirFd:fd=dirfd?-100 pathname|filename|path:path mode:int=mode
fchmodat2 dirFd:fd=dirfd?-100 pathname|filename|path:path mode:int=mode flags:int=at?
fchown fd:fd owner|uid:int group|gid:int
fchownat dirFd:fd=dirfd?-100 pathname|path:path owner|uid:int group|gid:int flags:int=at?
fcntl fd:fd cmd:int=fcntl arg:int=fcntlarg?
fdatasync fd:fd
fgetxattr fd:fd name:text value:out256 size:int?
finit_module fd:fd paramValues|uargs:path? flags:int=module?
flistxattr fd:fd list:out256 size:int?
flock fd:fd operation:int=flock
fork
fremovexattr fd:fd name:text
fsconfig fd:fd cmd:int key:text? value:text? aux:int?
fsetxattr fd:fd name:text value:buf size:len? flags:int=xattr?
fsmount fd:fd flags:int? attrFlags:int?
fsopen fsname|fs:text flags:int?
fspick dirFd:fd=dirfd?-100 path:path flags:int?
fstat fd:fd statbuf:out256
fstatfs fd:fd buf:out256
fsync fd:fd
ftruncate fd:fd length:int
getcwd path:out4096 size:int?
getdents64 fd:fd dirp:out4096 count:int?
getegid
geteuid
getgid
getgroups size:int?64 list:out256
getitimer which:int curr:out64
getpgid pid:int?
getpgrp
getpid
getppid
getpriority which:int who:int?
getrandom buf:out256 size|buflen:int? flags:int?
getresgid rgid:out8 egid:out8 sgid:out8
getresuid ruid:out8 euid:out8 suid:out8
getrlimit resource:int=rlimit rlim:out16
getrusage who:int? usage:out256
getsid pid:int?
gettid
gettimeofday tv:out64 tz:out64
getuid
getxattr path:path name:text value:out256 size:int?
init_module moduleImage|img:buf length:len? paramValues|uargs:path?
inotify_add_watch fd:fd pathname:path mask:int=watch
inotify_init
inotify_init1 flags:int=inotify?
inotify_rm_watch fd:fd wd:int
io_setup nrEvents:int ctx:out8
io_uring_enter fd:fd toSubmit:int? minComplete:int? flags:int? sig:0 sigsz:0
io_uring_register fd:fd opcode:int arg:0 nrArgs:int?
io_uring_setup entries:int params:out120
ioctl fd:fd request:int arg|argument:int?
ioperm from:int num:int turnOn:int
iopl level:int
keyctl option:int arg2:int? arg3:int? arg4:int? arg5:int?
kill pid:int=pid sig:int=signal
landlock_create_ruleset attr:buf? size:len? flags:int?
landlock_restrict_self rulesetFd:fd flags:int?
lchown pathname|path:path owner|uid:int group|gid:int
lgetxattr path:path name:text value:out256 size:int?
link oldPath:path newPath:path
linkat oldDirFd:fd=dirfd?-100 oldPath:path newDirFd:fd=dirfd?-100 newPath:path flags:int=at?
listen fd|sockfd:fd backlog:int?
listxattr path:path list:out256 size:int?
lremovexattr path:path name:text
lseek fd:fd offset:int whence:int=seek?
lsetxattr path:path name:text value:buf size:len? flags:int=xattr?
lstat pathname|path:path statbuf:out256
madvise addr:int length|size:int advice:int
memfd_create name:text flags:int=memfd?
memfd_secret flags:int?
mkdir path|pathname:path mode:int=mode?
mkdirat dirFd:fd=dirfd?-100 path|pathname:path mode:int=mode?
mknod path|pathname:path mode:int=mode dev:int?
mknodat dirFd:fd=dirfd?-100 path|pathname:path mode:int=mode dev:int?
mlock addr:int length|len|size:int
mlock2 addr:int length|len|size:int flags:int?
mlockall flags:int=mlockall
mmap addr:int? length:int prot:int=prot flags:int=map fd:int?-1 offset:int?
mount source|dev:text? target|dir:path filesystemType|type|fstype:text? flags:int=mount? data:text?
mount_setattr dirFd:fd=dirfd?-100 path:path flags:int=at? attr:buf size:len?
move_mount fromDirFd:fd=dirfd?-100 fromPath:path toDirFd:fd=dirfd?-100 toPath:path flags:int?
mprotect addr:int length|size:int prot:int=prot
mq_open name:text flags:int=open mode:int=mode? attr:0
mq_unlink name:text
msgget key:int flags:int=ipc?
msync addr:int length|size:int flags:int
munlock addr:int length|len|size:int
munlockall
munmap addr:int length|size:int
newfstatat dirFd:fd=dirfd?-100 pathname|path:path statbuf:out256 flags:int=at?
open pathname|name:path flags:int=open mode:int=mode?
open_by_handle_at mountFd:fd=dirfd?-100 handle:buf flags:int=open?
open_tree dirFd:fd=dirfd?-100 path:path flags:int=at?
openat dirFd:fd=dirfd?-100 pathname|name:path flags:int=open mode:int=mode?
openat2 dirFd:fd=dirfd?-100 pathname|name:path how:how?
perf_event_open attr:buf? pid:int? cpu:int?-1 groupFd:int?-1 flags:int?
personality persona:int?
pidfd_getfd pidfd|pidFd:fd targetFd:fd flags:int?
pidfd_open pid:int=pid flags:int?
pidfd_send_signal pidfd:fd sig:int=signal info:0 flags:int?
pipe fds:pair
pipe2 fds:pair flags:int=open?
pivot_root newRoot:path putOld:path
prctl option:int=prctl arg2:int? arg3:int? arg4:int? arg5:int?
pread64 fd:fd buffer|buf:buf? len|count:len? offset:int?
preadv fd:fd buffer:iov offset:int?
prlimit64 pid:int=pid? resource:int=rlimit newLimit:rlim? oldLimit:0
process_vm_readv pid:int localIov:0 liovcnt:0 remoteIov:0 riovcnt:0 flags:int?
process_vm_writev pid:int localIov:0 liovcnt:0 remoteIov:0 riovcnt:0 flags:int?
ptrace request:int=ptrace pid:int=pid? addr:int? data:int?
pwrite64 fd:fd buffer|buf:buf len|count:len? offset:int?
pwritev fd:fd buffer:iov offset:int?
read fd:fd buffer|buf:buf? len|count|size:len?
readlink path|pathname:path buf:out4096 size:int?
readlinkat dirFd:fd=dirfd?-100 path|pathname:path buf:out4096 size:int?
readv fd:fd buffer:iov
recvfrom fd:fd buffer|buf:buf? len|size:len? flags:int=send? addr:0 addrlen:0
recvmsg fd:fd buffer:msg flags:int=send?
removexattr path:path name:text
rename oldPath:path newPath:path
renameat oldDirFd|oldDir:fd=dirfd?-100 oldPath:path newDirFd|newDir:fd=dirfd?-100 newPath:path
renameat2 oldDirFd|oldDir:fd=dirfd?-100 oldPath:path newDirFd|newDir:fd=dirfd?-100 newPath:path flags:int=rename?
request_key type:text description|desc:text calloutInfo:text? keyring:int=keyring?
rmdir path|pathname:path
sched_yield
seccomp op:int flags:int? args:0
semget key:int nsems:int? flags:int=ipc?
sendfile outFd:fd inFd:fd offset:0 count|size:int
sendmsg fd:fd buffer:msg flags:int=send?
sendto fd:fd buf|buffer|data:buf len|size:len? flags:int=send? destAddr|address|addr:addr?
setfsgid gid:int
setfsuid uid:int
setgid gid:int
setgroups groups:gids
setns fd:fd nstype:int=clone?
setpgid pid:int=pid? pgid:int?
setregid rgid:int egid:int
setresgid rgid:int egid:int sgid|sgidd:int
setresuid ruid:int euid:int suid:int
setreuid ruid:int euid:int
setrlimit resource:int=rlimit limit:rlim
setsid
setsockopt fd:fd level:int=level optname:int=option optval|val:buf optlen:len?
setuid uid:int
setxattr path:path name:text value:buf size:len? flags:int=xattr?
shmget key:int size:int? flags:int=ipc?
shutdown fd:fd how:int=shut
signalfd fd:int?-1 mask:buf? size:len?
signalfd4 fd:int?-1 mask:buf? size:len? flags:int=signalfd?
socket domain:int=domain type:int=type protocol|proto:int=protocol?
socketpair domain:int=domain type:int=type protocol|proto:int=protocol? fds:pair
splice fdIn:fd offIn:0 fdOut:fd offOut:0 len|size:int flags:int=splice?
stat pathname|path:path statbuf:out256
statfs path:path buf:out256
statx dirFd:fd=dirfd?-100 pathname:path flags:int=at? mask:int? statxbuf:out256
symlink target:path linkPath:path
symlinkat target:path newDirFd|linkDirFd:fd=dirfd?-100 linkPath:path
sync
sync_file_range fd:fd offset:int? nbytes:int? flags:int?
syncfs fd:fd
sysinfo info:out256
tee fdIn:fd fdOut:fd len|size:int flags:int=splice?
tgkill tgid:int=pid tid:int=pid sig:int=signal
timerfd_create clockId:int=clock? flags:int=timerfd?
times buf:out64
tkill tid:int=pid sig:int=signal
truncate path:path length:int
umask mask:int=mode
umount2 target|name:path flags:int=umount?
uname buf:out512
unlink path|pathname:path
unlinkat dirFd:fd=dirfd?-100 path|pathname|name:path flags:int=at?
unshare flags:int=clone
userfaultfd flags:int=userfault?
utimensat dirFd:fd=dirfd?-100 pathname:path times:0 flags:int=at?
vmsplice fd:fd buffer:iov flags:int=splice?
write fd:fd buffer|buf|data:buf? len|count|size:len?
writev fd:fd buffer:iov
`

var syscalls = sync.OnceValues(func() (map[string]*Syscall, []string) {
	all := make(map[string]*Syscall)
	var names []string
	for line := range strings.Lines(syscallTable) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		s := &Syscall{}
		s.Name, s.Child = strings.CutSuffix(words[0], "!")
		for _, word := range words[1:] {
			s.Args = append(s.Args, parseArg(word))
		}
		all[s.Name] = s
		names = append(names, s.Name)
	}
	return all, names
})

func parseArg(word string) (a Arg) {
	word, fallback, optional := strings.Cut(word, "?")
	a.Optional = optional
	fmt.Sscan(fallback, &a.Default)
	names, kind, _ := strings.Cut(word, ":")
	all := strings.Split(names, "|")
	a.Name, a.Other = all[0], all[1:]
	kind, a.Set, _ = strings.Cut(kind, "=")
	if size, ok := strings.CutPrefix(kind, string(Out)); ok {
		kind = string(Out)
		fmt.Sscan(size, &a.Size)
	}
	a.Kind = Kind(kind)
	return a
}

// SyscallByName returns the system call of that name, nil if steps cannot make
// it.
func SyscallByName(name string) *Syscall {
	all, _ := syscalls()
	return all[name]
}

// SyscallNames are those that steps can make, in alphabetical order.
func SyscallNames() []string {
	_, names := syscalls()
	return names
}

// ParseNumber reads what a number may be written as: a number, or names of the
// argument's set.
func (a *Arg) ParseNumber(text string) (int64, error) { return parseConstants(a.Set, text) }
