// SPDX-License-Identifier: Apache-2.0

package filter_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/filter"
	. "github.com/falcotest/go-falcotest/internal/filter/filtertest"
)

var hidden = &filter.Reason{Text: "it is hidden here"}

func unknown() filter.Value { return filter.Value{Unknown: hidden} }

// withUnknown is a list of which one value more is not known.
func withUnknown(v filter.Value) filter.Value {
	v.List = append(v.List, unknown())
	return v
}

// TestTruth holds what unknown values make of conditions.
func TestTruth(t *testing.T) {
	ev := Event{
		"evt.type":      Str("openat"),
		"proc.name":     Str("cat"),
		"proc.pname":    unknown(),
		"proc.pid":      unknown(),
		"proc.ppid":     Num(10),
		"proc.aname":    withUnknown(Strs("bash")),
		"proc.apid":     withUnknown(Nums(10)),
		"fd.name":       unknown(),
		"fd.connected":  unknown(),
		"fd.sip":        unknown(),
		"fd.snet":       unknown(),
		"fd.ip":         withUnknown(addrs("10.0.0.1")),
		"fd.port":       withUnknown(Nums(443)),
		"fd.types":      withUnknown(Strs("file")),
		"proc.env[A B]": unknown(),
	}
	for cond, want := range map[string]filter.Truth{
		`fd.name = /x`:                                          filter.Unknown,
		`fd.name != /x`:                                         filter.Unknown,
		`not fd.name = /x`:                                      filter.Unknown,
		`not not fd.name = /x`:                                  filter.Unknown,
		`fd.name exists`:                                        filter.Unknown,
		`fd.name contains x`:                                    filter.Unknown,
		`fd.name in (a, b)`:                                     filter.Unknown,
		`fd.name in ()`:                                         filter.False,
		`not fd.name in ()`:                                     filter.True,
		`fd.name pmatch (/x)`:                                   filter.Unknown,
		`fd.name regex 'x'`:                                     filter.Unknown,
		`fd.name glob x*`:                                       filter.Unknown,
		`proc.pid > 1`:                                          filter.Unknown,
		`fd.connected = true`:                                   filter.Unknown,
		`fd.sip = 1.2.3.4`:                                      filter.Unknown,
		`fd.snet != 10.0.0.0/8`:                                 filter.Unknown,
		`proc.env["A B"] = x`:                                   filter.Unknown,
		`tolower(fd.name) = x`:                                  filter.Unknown,
		`len(fd.name) = 0`:                                      filter.Unknown,
		`proc.name = val(proc.pname)`:                           filter.Unknown,
		`proc.pname = val(proc.name)`:                           filter.Unknown,
		`proc.pname = val(proc.exe)`:                            filter.Unknown,
		`proc.ppid = val(proc.pid)`:                             filter.Unknown,
		`proc.cmdline = val(fd.name)`:                           filter.False, // the left one is not there
		`proc.name = tolower(fd.name)`:                          filter.Unknown,
		`proc.aname = bash`:                                     filter.True,
		`proc.aname = sshd`:                                     filter.Unknown,
		`not proc.aname = sshd`:                                 filter.Unknown,
		`proc.aname in (sshd, bash)`:                            filter.True,
		`proc.aname != bash`:                                    filter.Unknown, // the other may be another
		`proc.aname exists`:                                     filter.True,
		`proc.apid = 10`:                                        filter.True,
		`proc.apid in (10)`:                                     filter.False, // as Falco 0.43
		`fd.ip = 10.0.0.1`:                                      filter.True,
		`fd.ip = 10.0.0.2`:                                      filter.Unknown,
		`fd.ip != 10.0.0.1`:                                     filter.False,
		`fd.ip != 10.0.0.2`:                                     filter.Unknown,
		`fd.port != 443`:                                        filter.False,
		`fd.port in (443)`:                                      filter.True,
		`fd.types in (file, pipe)`:                              filter.Unknown,
		`fd.types in (pipe)`:                                    filter.False,
		`fd.types intersects (file)`:                            filter.True,
		`fd.types intersects (pipe)`:                            filter.Unknown,
		`proc.name = cat or fd.name = x`:                        filter.True,
		`proc.name = dog or fd.name = x`:                        filter.Unknown,
		`proc.name = cat and fd.name = x`:                       filter.Unknown,
		`proc.name = dog and fd.name = x`:                       filter.False,
		`fd.name = x and proc.name = dog`:                       filter.False,
		`fd.name = x or proc.name = cat`:                        filter.True,
		`not (fd.name = x or proc.name = cat)`:                  filter.False,
		`not (fd.name = x and proc.name = dog)`:                 filter.True,
		`(fd.name = x or proc.pid = 1) and not proc.name = cat`: filter.False,
		`fd.name = x and proc.pid = 1 and fd.connected = true`:  filter.Unknown,
		`evt.type = openat and not (proc.aname = sshd or fd.name = x)`: filter.Unknown,
	} {
		m, c, _ := compile(t, truthSource(), cond)
		m.Reset(ev)
		for range 2 {
			if got := m.Truth(c); got != want {
				t.Errorf("%s is %v, want %v", cond, got, want)
			}
			if got := m.Eval(c); got != (want == filter.True) {
				t.Errorf("%s is evaluated as %t, want %v", cond, got, want)
			}
		}
	}
}

func truthSource() *TypedSource {
	src := testSource()
	src.Fields["proc.exe"] = filter.Field{Type: filter.CharBuf}
	return src
}

// TestAssume holds what values that stand in for unknown ones make of
// conditions that are open without them.
func TestAssume(t *testing.T) {
	standIn := &filter.Reason{Text: "it is hidden here", StandIn: true}
	none := &filter.Reason{Text: "it is hidden here", StandIn: true, None: true}
	ev := Event{"evt.type": Str("openat"), "proc.name": {Str: "other", Unknown: standIn}, "fd.name": unknown(), "proc.pname": {Unknown: none}}
	for cond, want := range map[string]filter.Truth{
		`not proc.name in (cat, dog)`:                filter.True,
		`proc.name = cat`:                            filter.False,
		`proc.name != cat and evt.type = openat`:     filter.True,
		`not tolower(proc.name) = cat`:               filter.True,
		`proc.name exists`:                           filter.True,
		`not proc.pname = cat`:                       filter.True,
		`proc.pname != cat`:                          filter.False,
		`proc.pname exists`:                          filter.False,
		`proc.name != cat and fd.name = /etc/passwd`: filter.Unknown,
	} {
		m, c, _ := compile(t, testSource(), cond)
		m.Reset(ev)
		for range 2 {
			if got := m.Truth(c); got != filter.Unknown {
				t.Errorf("%s is %v, want unknown", cond, got)
			}
			if got := m.Assume(c); got != want {
				t.Errorf("%s is taken to be %v, want %v", cond, got, want)
			}
		}
	}
}

// conditions makes conditions of bytes, and knows what each means where
// everything is known.
type conditions struct {
	data []byte
	vars []string
}

type meaning func(Event) bool

func (c *conditions) next(n int) int {
	if len(c.data) == 0 {
		return 0
	}
	b := c.data[0]
	c.data = c.data[1:]
	return int(b) % n
}

func (c *conditions) condition(depth int) (string, meaning) {
	kind := c.next(8)
	if depth == 0 || len(c.data) == 0 {
		kind = 0
	}
	switch kind {
	case 4, 5:
		a, am := c.condition(depth - 1)
		b, bm := c.condition(depth - 1)
		return "(" + a + " and " + b + ")", func(ev Event) bool { return am(ev) && bm(ev) }
	case 6:
		a, am := c.condition(depth - 1)
		b, bm := c.condition(depth - 1)
		return "(" + a + " or " + b + ")", func(ev Event) bool { return am(ev) || bm(ev) }
	case 7:
		a, am := c.condition(depth - 1)
		return "not " + a, func(ev Event) bool { return !am(ev) }
	}
	name := c.vars[c.next(len(c.vars))]
	x, y := truthValues[c.next(len(truthValues))], truthValues[c.next(len(truthValues))]
	is := func(f func(string) bool) meaning {
		return func(ev Event) bool {
			v, ok := ev[name]
			return ok && f(v.Str)
		}
	}
	switch c.next(6) {
	case 0:
		return name + " = " + x, is(func(s string) bool { return s == x })
	case 1:
		return name + " != " + x, is(func(s string) bool { return s != x })
	case 2:
		return name + " exists", is(func(string) bool { return true })
	case 3:
		return fmt.Sprintf("%s in (%s, %s)", name, x, y), is(func(s string) bool { return s == x || s == y })
	case 4:
		return fmt.Sprintf("%s startswith %s", name, x), is(func(s string) bool { return strings.HasPrefix(s, x) })
	}
	other := c.vars[c.next(len(c.vars))]
	return fmt.Sprintf("%s = val(%s)", name, other), func(ev Event) bool {
		v, ok := ev[name]
		w, also := ev[other]
		return ok && also && v.Str == w.Str
	}
}

// truthVars are the fields of generated conditions, truthValues what they may
// be besides missing.
var (
	truthVars   = []string{"proc.name", "proc.pname", "fd.name", "proc.cmdline"}
	truthValues = []string{"a", "ab", "b"}
)

// checkTruth checks a generated condition for an event of which some values are
// not known: where none are, it is what it means; where some are and it is true
// or false, it is so whatever they are.
func checkTruth(t *testing.T, data []byte) {
	c := &conditions{data: data, vars: truthVars}
	ev := Event{"evt.type": Str("openat")}
	var open []string
	for _, name := range truthVars {
		switch n := c.next(len(truthValues) + 2); {
		case n < len(truthValues):
			ev[name] = Str(truthValues[n])
		case n == len(truthValues):
			open = append(open, name)
		}
	}
	text, means := c.condition(5)
	m, cond, e := compile(t, testSource(), text)
	for _, name := range open {
		ev[name] = unknown()
	}
	m.Reset(ev)
	got := m.Truth(cond)
	explain(t, e, ev, got)
	if len(open) == 0 {
		if want := means(ev); got == filter.Unknown || (got == filter.True) != want {
			t.Fatalf("%s of %v is %v, want %t", text, ev, got, want)
		}
		return
	}
	if got == filter.Unknown {
		return
	}
	complete(ev, open, func(ev Event) {
		if want := means(ev); (got == filter.True) != want {
			t.Fatalf("%s is %v although %v is not known, but for %v it is %t", text, got, open, ev, want)
		}
	})
}

// complete calls f with each of what an event may be.
func complete(ev Event, open []string, f func(Event)) {
	if len(open) == 0 {
		f(ev)
		return
	}
	for _, v := range truthValues {
		ev[open[0]] = Str(v)
		complete(ev, open[1:], f)
	}
	delete(ev, open[0])
	complete(ev, open[1:], f)
}

// explain checks that the explainer agrees with the machine.
func explain(t *testing.T, e *filter.Expr, ev Event, want filter.Truth) {
	t.Helper()
	x, err := filter.NewExplainer(testSource(), e)
	if err != nil {
		t.Fatal(err)
	}
	x.Observe(ev)
	r := x.Result()
	got := filter.False
	switch {
	case r.Matched > 0:
		got = filter.True
	case r.Unknown > 0:
		got = filter.Unknown
	}
	if got != want {
		t.Fatalf("%s is explained as %v, want %v", e, got, want)
	}
	if got == filter.Unknown && (r.Doubt == nil || len(r.Doubt.Clauses) == 0 || r.Doubt.String() == "") {
		t.Fatalf("%s is unknown, and nothing says why: %+v", e, r.Doubt)
	}
}

// TestKnownTruth checks many random conditions.
func TestKnownTruth(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		data := make([]byte, 10+rng.IntN(60))
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		checkTruth(t, data)
	}
}

func FuzzTruth(f *testing.F) {
	f.Add([]byte("conditions of what is not known"))
	f.Add([]byte{3, 3, 3, 3, 4, 7, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Fuzz(checkTruth)
}

// TestDoubtText holds the text about what is not known.
func TestDoubtText(t *testing.T) {
	passing := &filter.Reason{Text: "the process was gone", Passing: true}
	for _, tt := range []struct {
		name, cond string
		events     []Event
		want, line string
		passing    bool
	}{
		{"one", `evt.type = openat and proc.name = cat and not fd.name startswith /etc`,
			[]Event{{"evt.type": Str("openat"), "proc.name": Str("cat"), "fd.name": unknown()}},
			"openat: it hangs on what cannot be known here\n  fd.name startswith /etc  ?  fd.name is unknown: it is hidden here",
			"`fd.name` cannot be known here: it is hidden here", false},
		{"two, and an alternative that is false", `evt.type = openat and (fd.name = x or proc.name = dog or proc.pname = y)`,
			[]Event{{"evt.type": Str("openat"), "proc.name": Str("cat"), "fd.name": unknown(), "proc.pname": unknown()}, {"evt.type": Str("openat"), "fd.name": unknown()}},
			"openat: it hangs on what cannot be known here, as with 1 other event\n" +
				"  fd.name = x  ?  fd.name is unknown: it is hidden here\n  proc.pname = y  ?  proc.pname is unknown: it is hidden here",
			"`fd.name` and `proc.pname` cannot be known here: it is hidden here", false},
		{"of several", `evt.type = openat and not proc.aname in (sshd)`,
			[]Event{{"evt.type": Str("openat"), "proc.aname": withUnknown(Strs("bash"))}},
			"openat: it hangs on what cannot be known here\n" +
				`  proc.aname in (sshd)  ?  proc.aname = "bash", ?, where ? is unknown: it is hidden here`,
			"`proc.aname` cannot be known here: it is hidden here", false},
		{"passing", `evt.type = openat and fd.name = x`,
			[]Event{{"evt.type": Str("openat"), "fd.name": {Unknown: passing}}},
			"openat: it hangs on what cannot be known here\n  fd.name = x  ?  fd.name is unknown: the process was gone",
			"`fd.name` cannot be known here: the process was gone", true},
		{"what passes is not told where something else stays", `evt.type = openat and fd.name = x`,
			[]Event{{"evt.type": Str("openat"), "fd.name": {Unknown: passing}}, {"evt.type": Str("openat"), "fd.name": unknown()}},
			"openat: it hangs on what cannot be known here, as with 1 other event\n  fd.name = x  ?  fd.name is unknown: it is hidden here",
			"`fd.name` cannot be known here: it is hidden here", false},
	} {
		e, err := filter.ParseString(tt.cond)
		if err != nil {
			t.Fatal(err)
		}
		x, err := filter.NewExplainer(testSource(), e)
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range tt.events {
			x.Observe(ev)
		}
		r := x.Result()
		if d := cmp.Diff(tt.want, regexp.MustCompile(`\n +1:[0-9]+`).ReplaceAllString(r.String(), "")); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
		if d := cmp.Diff(tt.line, r.Doubt.String()); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
		if r.Doubt.Passing != tt.passing {
			t.Errorf("%s: passing is %t", tt.name, r.Doubt.Passing)
		}
	}
}
