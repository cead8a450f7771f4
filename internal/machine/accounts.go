// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/falcotest/go-falcotest/internal/event"
)

// accounts holds the users and groups of the host and of containers, as their
// passwd and group files name them. It is safe for concurrent use.
type accounts struct {
	mu    sync.RWMutex
	files map[string]*accountFiles // by container id, "" is the host
}

type accountFiles struct {
	users   map[uint32]*event.User
	groups  map[uint32]string
	unknown event.Unknown // why they could not be read
	read    time.Time
	changed [2]time.Time
}

func newAccounts() *accounts { return &accounts{files: map[string]*accountFiles{}} }

// staleAfter is how soon the files are looked at again for an id that they did
// not name: a test may add a user and use it at once.
const staleAfter = 50 * time.Millisecond

func (a *accounts) user(p *event.Process, id uint32) (*event.User, bool) {
	f := a.get(p, func(f *accountFiles) bool { return f.users[id] != nil })
	u := f.users[id]
	return u, u != nil
}

func (a *accounts) group(p *event.Process, id uint32) (string, bool) {
	f := a.get(p, func(f *accountFiles) bool { _, ok := f.groups[id]; return ok })
	g, ok := f.groups[id]
	return g, ok
}

// unknownFor tells why the accounts of a process's container are not known.
func (a *accounts) unknownFor(p *event.Process) event.Unknown {
	return a.get(p, func(*accountFiles) bool { return true }).unknown
}

// get returns the accounts by which the ids of a process are named: those of its
// container, else of the host. A test that has the host's folders for itself may have
// made users there, where the host has none.
func (a *accounts) get(p *event.Process, has func(*accountFiles) bool) *accountFiles {
	root := "/proc/" + itoa(p.PID) + "/root/"
	if p.Container != nil && !p.Container.Own {
		return a.load(p.Container.ID, root, has, func() (bool, error) { return ownMountNamespace(p.PID) })
	}
	host := a.load("", "/", has, func() (bool, error) { return true, nil })
	if has(host) {
		return host
	}
	if own, err := ownMountNamespace(p.PID); err != nil || !own {
		return host
	}
	if f := readAccounts(root, nil); has(f) { // not kept: the next test's are others
		return f
	}
	return host
}

// load returns the files below a root, which are kept by a key. Exist tells whether
// there are any.
func (a *accounts) load(key, root string, has func(*accountFiles) bool, exist func() (bool, error)) *accountFiles {
	a.mu.RLock()
	f := a.files[key]
	a.mu.RUnlock()
	if f != nil && (has(f) || time.Since(f.read) < staleAfter) {
		return f
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	own, err := exist()
	switch {
	case errors.Is(err, fs.ErrPermission):
		f = &accountFiles{read: time.Now(), unknown: event.UnknownAccounts}
	case !own:
		f = &accountFiles{read: time.Now()}
	default:
		f = readAccounts(root, a.files[key])
	}
	a.files[key] = f
	return f
}

// ownMountNamespace tells whether a process has another root than the host.
// Falco reads the accounts of containers that do.
func ownMountNamespace(pid int64) (bool, error) {
	host, err := os.Readlink("/proc/1/ns/mnt")
	if err != nil { // only root may look at it
		if host, err = os.Readlink("/proc/self/ns/mnt"); err != nil {
			return false, err
		}
	}
	ns, err := os.Readlink("/proc/" + itoa(pid) + "/ns/mnt")
	return err == nil && ns != host, err
}

func readAccounts(root string, old *accountFiles) *accountFiles {
	f := &accountFiles{users: map[uint32]*event.User{}, groups: map[uint32]string{}, read: time.Now()}
	for i, name := range []string{"etc/passwd", "etc/group"} {
		if st, err := os.Stat(root + name); err == nil {
			f.changed[i] = st.ModTime()
		}
	}
	if old != nil && old.changed == f.changed {
		c := *old
		c.read = f.read
		return &c
	}
	err := errors.Join(
		eachAccount(root+"etc/passwd", 7, func(id uint32, e []string) {
			f.users[id] = &event.User{Name: e[0], Home: e[5], Shell: e[6]}
		}),
		eachAccount(root+"etc/group", 3, func(id uint32, e []string) { f.groups[id] = e[0] }))
	if errors.Is(err, fs.ErrPermission) {
		f.unknown = event.UnknownAccounts
	}
	return f
}

// eachAccount calls f for the lines of a file with at least that many elements,
// of which the third is the number; the first line of a number counts. Without
// the file, ids stay without a name.
func eachAccount(path string, elements int, f func(uint32, []string)) error {
	const most = 16 << 20
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, most))
	if err != nil {
		return err
	}
	seen := map[uint32]bool{}
	for line := range strings.Lines(string(data)) {
		e := strings.Split(strings.TrimRight(line, "\r\n"), ":")
		if len(e) < elements {
			continue
		}
		id, err := strconv.ParseUint(e[2], 10, 32)
		if err != nil || seen[uint32(id)] {
			continue
		}
		seen[uint32(id)] = true
		f(uint32(id), e)
	}
	return nil
}
