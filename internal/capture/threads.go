// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"cmp"
	"slices"
	"strings"

	"github.com/falcotest/go-falcotest/internal/event"
)

// Flags of threads beyond those of clone, in Falco's encoding.
const (
	cloneNewUser  = 1 << 20
	cloneInverted = 1 << 16 // the child's event came before its parent's
	threadClosed  = 1 << 18 // it has ended
	mainThread    = 1 << 30
)

// thread is what is known of a thread. What conditions ask of a process is in
// proc, which is the process as this thread sees it: Falco keeps most of it for
// each thread, and shows the environment, the working directory, the descriptors
// and their limit of the main one, from which the others have them for an event.
// What they have of their own is kept in case they become the main one.
type thread struct {
	event.Thread
	proc event.Process

	env     []string
	cwd     string
	fdLimit int64

	pid, ptid int64
	flags     uint32
	group     *group
	fds       map[int64]*event.FD
	pool      *pool
	buckets   int   // of the hash table that Falco keeps them in
	first     int64 // the order of the descriptor that is first in it
	highest   int64 // number that was ever in it, below mostNeighbours
	reaper    int64
	children  []*thread
	removed   bool

	lastFD  int64
	entered event.Type // type of the enter event that came last
	enter   *record    // that event, while its exit may ask for it
	kept    *record    // where it is kept
	data    []byte     // and its parameters

	resolved uint64 // generation in which proc.Parent was looked up
	walk     uint64 // the search that did
}

// group is the threads of a process.
type group struct {
	pid     int64
	alive   int
	reaper  bool
	threads []*thread // the main one first, when it is known
}

func newThread(tid int64, p *pool) *thread {
	t := &thread{pool: p, pid: -1, ptid: -1, reaper: -1, lastFD: -1, fdLimit: -1}
	t.TID, t.VTID = tid, -1
	t.Process = &t.proc
	t.fds = p.table()
	t.proc = event.Process{
		PID: -1, VPID: -1, PPID: -1, SID: -1, VPGID: -1, PGID: -1, UID: nobodyID, GID: nobodyID,
		LoginUID: -1, FDLimit: -1, FDs: t.fds, Recorded: true,
	}
	return t
}

const nobodyID = 1<<32 - 1

func (t *thread) isMain() bool { return t.TID == t.pid || t.flags&mainThread != 0 }

// invalid: it is known that the thread exists, and nothing else.
func (t *thread) invalid() bool { return t.TID < 0 || t.pid < 0 || t.ptid < 0 }

func (t *thread) dead() bool { return t.flags&threadClosed != 0 }

func (t *thread) inPidNamespace() bool {
	return t.flags&event.CloneChildPIDNS != 0 || t.TID != t.VTID && t.VTID >= 0
}

// main is the main thread of its process, nil when that is not known.
func (t *thread) main() *thread {
	if t.isMain() {
		return t
	}
	if t.group == nil || len(t.group.threads) == 0 || !t.group.threads[0].isMain() {
		return nil
	}
	return t.group.threads[0]
}

// table is the descriptors that the thread sees.
func (t *thread) table() map[int64]*event.FD {
	if t.flags&event.CloneFiles == 0 {
		return t.fds
	}
	if m := t.main(); m != nil {
		return m.fds
	}
	return nil
}

// fd finds a descriptor. Its name as of now is what it is compared with after the
// event, to tell whether the event changed it.
func (t *thread) fd(n int64) *event.FD {
	if n < 0 {
		return nil
	}
	f := t.table()[n]
	if f != nil {
		f.OldName = f.Name
	}
	return f
}

func (t *thread) addFD(n int64, f *event.FD) *event.FD {
	owner := t
	if t.flags&event.CloneFiles != 0 {
		owner = t.main()
	}
	if owner == nil {
		return nil
	}
	added := owner.insert(n, f)
	if added != nil {
		t.lastFD = n
	}
	return added
}

// insert puts a descriptor into the table where Falco's has it, which is what fd.types
// shows: a hash table of the C++ library, of which new elements come first, but beside
// those of their bucket. It returns the table's copy, nil when it is full.
func (t *thread) insert(n int64, given *event.FD) *event.FD {
	f := t.fds[n]
	if f != nil {
		order := f.Order
		*f = *given
		f.Num, f.Order = n, order
		return f
	}
	if len(t.fds) >= maxFDs || t.fds == nil {
		return nil
	}
	f = t.pool.fd()
	*f = *given
	f.Num = n
	if len(t.fds) >= t.buckets {
		t.grow()
	}
	if n < mostNeighbours {
		t.highest = max(t.highest, n)
	}
	f.Order = t.first - between
	for other := int64(uint64(n) % uint64(t.buckets)); other <= t.highest && t.highest >= int64(t.buckets); other += int64(t.buckets) {
		if g := t.fds[other]; g != nil && (f.Order < t.first || g.Order <= f.Order) {
			f.Order = g.Order - 1 // before those that are in the same bucket
		}
	}
	t.first = min(t.first, f.Order)
	t.fds[n] = f
	return f
}

// grow moves the descriptors, one after another, to a larger table: the last comes
// first, but beside those of its bucket.
func (t *thread) grow() {
	i := 0
	for i < len(bucketCounts)-1 && bucketCounts[i] <= t.buckets {
		i++
	}
	t.buckets, t.first = bucketCounts[i], 0
	if len(t.fds) == 0 {
		return
	}
	list, place := t.pool.growing[:0], t.pool.places
	if place == nil {
		place = map[int64]int{}
		t.pool.places = place
	}
	clear(place)
	for _, f := range t.fds {
		list = append(list, f)
	}
	t.pool.growing = list
	bucket := func(f *event.FD) int64 { return int64(uint64(f.Num) % uint64(t.buckets)) }
	slices.SortFunc(list, func(a, b *event.FD) int { return cmp.Compare(a.Order, b.Order) })
	for _, f := range list {
		if _, ok := place[bucket(f)]; !ok {
			place[bucket(f)] = len(place)
		}
	}
	slices.Reverse(list)
	slices.SortStableFunc(list, func(a, b *event.FD) int { return cmp.Compare(place[bucket(b)], place[bucket(a)]) })
	for i, f := range list {
		f.Order = int64(i) * between
	}
}

// mostNeighbours bounds the search for descriptors in the same bucket; the order of
// those above it is not Falco's where they share one.
const mostNeighbours = 4096

// between is how far the orders of two descriptors are apart, so that others fit in.
const between = 1 << 10

// bucketCounts are the sizes that such a table grows through.
var bucketCounts = [...]int{13, 29, 59, 127, 257, 541, 1109, 2357, 5087, 10273, 20753, 42043, 85229}

func (t *thread) getCwd() string {
	if m := t.main(); m != nil {
		return m.cwd
	}
	return "./"
}

func (s *state) updateCwd(t *thread, path string) {
	m := t.main()
	if m == nil {
		return
	}
	cwd := event.JoinPath(t.cwd, path)
	if !strings.HasSuffix(cwd, "/") {
		cwd += "/"
	}
	m.setCwd(s.strings.text(cwd))
}

func (t *thread) setCwd(path string) { t.cwd, t.proc.Cwd = path, path }

func (t *thread) setEnv(env []string) { t.env, t.proc.Env = env, env }

func (t *thread) setFDLimit(n int64) { t.fdLimit, t.proc.FDLimit = n, n }

func (t *thread) setExePath(path string) { t.proc.ExePath = strings.TrimSuffix(path, " (deleted)") }

func (t *thread) setIDs(tid, pid, ptid int64) {
	wasMain := t.isMain()
	t.TID, t.pid, t.ptid = tid, pid, ptid
	t.proc.PID, t.proc.PPID = pid, ptid
	if !wasMain && t.isMain() {
		t.becomeMain()
	}
}

// becomeMain shows what the thread has of its own instead of what it had of another.
func (t *thread) becomeMain() {
	t.proc.Env, t.proc.Cwd, t.proc.FDLimit, t.proc.FDs = t.env, t.cwd, t.fdLimit, t.fds
}

// find is the thread with that number, nil when it is not known.
func (s *state) find(tid int64) *thread { return s.threads[tid] }

// get is the thread with that number. One that is not known is noted as such:
// its events are its own, but nothing is known of it.
func (s *state) get(tid int64) *thread {
	if t := s.threads[tid]; t != nil {
		return t
	}
	if len(s.threads) >= maxThreads {
		return nil
	}
	t := newThread(tid, &s.pool)
	t.proc.Comm, t.proc.Exe = "<NA>", "<NA>"
	return s.add(t)
}

// add puts a thread into the table, its group and its parent's children.
func (s *state) add(t *thread) *thread {
	if len(s.threads) >= maxThreads {
		return nil
	}
	s.relate(t)
	s.put(t)
	return t
}

func (s *state) put(t *thread) {
	if before := s.threads[t.TID]; before != nil {
		before.removed = true
	}
	s.threads[t.TID] = t
	s.generation++
}

// relate makes a valid thread a member of its group and a child of its parent.
func (s *state) relate(t *thread) {
	if t.invalid() || t.group != nil {
		return
	}
	g := s.groups[t.pid]
	if g == nil {
		g = &group{pid: t.pid, alive: 1, reaper: t.pid == 1 || t.proc.VPID == 1, threads: []*thread{t}}
		s.groups[t.pid] = g
	} else {
		g.add(t)
	}
	t.group = g
	s.generation++
	if t.pid == 1 {
		return
	}
	parent := s.find(t.ptid)
	if parent == nil || parent.invalid() {
		t.ptid = 0
		t.proc.PPID = 0
		return
	}
	parent.adopt(t)
}

func (g *group) add(t *thread) {
	g.alive++
	g.clean()
	if t.isMain() {
		g.threads = append([]*thread{t}, g.threads...)
		return
	}
	g.threads = append(g.threads, t)
}

// clean drops threads that are gone, now and then.
func (g *group) clean() {
	if len(g.threads) < 32 || len(g.threads) < 2*g.alive {
		return
	}
	kept := g.threads[:0]
	for _, t := range g.threads {
		if !t.removed {
			kept = append(kept, t)
		}
	}
	clear(g.threads[len(kept):])
	g.threads = kept
}

func (t *thread) adopt(child *thread) {
	if len(t.children) >= 32 && len(t.children) == cap(t.children) {
		kept := t.children[:0]
		for _, c := range t.children {
			if !c.removed && c.ptid == t.TID {
				kept = append(kept, c)
			}
		}
		clear(t.children[len(kept):])
		t.children = kept
	}
	t.children = append(t.children, child)
	child.ptid = t.TID
	child.proc.PPID = t.TID
}

// remove takes a thread out of the table once it has ended. The main thread
// stays for as long as others of its group live.
func (s *state) remove(tid int64) {
	t := s.threads[tid]
	if t == nil {
		return
	}
	s.generation++
	if t.invalid() || t.group == nil {
		s.erase(tid)
		return
	}
	if !t.dead() {
		t.group.alive--
		t.flags |= threadClosed
	}
	if len(t.children) > 0 {
		s.reparent(t)
	}
	if t.group.alive <= 0 {
		delete(s.groups, t.pid)
		s.erase(t.pid)
	}
	if !t.isMain() {
		s.erase(tid)
	}
}

func (s *state) erase(tid int64) {
	if t := s.threads[tid]; t != nil {
		t.removed = true
		delete(s.threads, tid)
		t.pool.release(t.fds)
		t.fds, t.proc.FDs = nil, nil
	}
}

// reparent gives the children of a thread that ended to the one that the kernel
// named, or else to whom the kernel would.
func (s *state) reparent(t *thread) {
	var reaper *thread
	if t.reaper > 0 {
		reaper = s.get(t.reaper)
	}
	if reaper == nil || reaper.invalid() {
		reaper = s.newReaper(t)
	}
	if reaper != nil && reaper.pid != t.pid && reaper.group != nil {
		reaper.group.reaper = true
	}
	for _, child := range t.children {
		if child.removed || child.ptid != t.TID {
			continue
		}
		if reaper == nil || reaper == t {
			child.ptid, child.proc.PPID = 0, 0
			continue
		}
		reaper.adopt(child)
	}
	t.children = nil
}

// newReaper looks for another thread of the group, then for the nearest ancestor
// that reaps, in the same pid namespace.
func (s *state) newReaper(t *thread) *thread {
	if r := t.group.other(t); r != nil {
		return r
	}
	p := s.find(t.ptid)
	for range maxAncestors {
		if p == nil || p == t || p.inPidNamespace() != t.inPidNamespace() {
			return nil
		}
		if p.group != nil && p.group.reaper && p.group.alive > 0 {
			if r := p.group.other(nil); r != nil {
				return r
			}
		}
		p = s.find(p.ptid)
	}
	return nil
}

const maxAncestors = 1000

func (g *group) other(than *thread) *thread {
	if g == nil || g.alive <= 0 {
		return nil
	}
	for _, t := range g.threads {
		if !t.removed && !t.dead() && t != than {
			return t
		}
	}
	return nil
}

// resolve makes proc.Parent the parent of the thread's process as of now. It is
// looked up again when any thread has come, gone or been given away. Where a
// recording contradicts itself and a process descends from itself, the line ends.
func (s *state) resolve(t *thread) {
	if t.resolved == s.generation {
		return
	}
	s.walk++
	for range maxAncestors {
		if t.resolved == s.generation {
			return
		}
		t.resolved, t.walk = s.generation, s.walk
		t.proc.Parent, t.proc.Creator = nil, nil
		if own := s.find(t.ptid); own != nil {
			t.proc.Creator = &own.proc
		}
		m := t.main()
		if m == nil {
			return
		}
		creator := s.find(m.ptid)
		if creator == nil {
			return
		}
		parent := creator.main()
		if parent == nil || parent == m || parent.walk == s.walk {
			return
		}
		t.proc.Parent = &parent.proc
		t = parent
	}
}
