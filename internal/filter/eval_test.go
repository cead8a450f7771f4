// SPDX-License-Identifier: Apache-2.0

package filter_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/filter"
	. "github.com/falcotest/go-falcotest/internal/filter/filtertest"
)

// fields are those of the source that the tests here use.
func testSource() *TypedSource {
	return &TypedSource{
		Source: &Source{Label: "syscall", Fields: map[string]filter.Field{
			"evt.type":      {Type: filter.CharBuf},
			"proc.name":     {Type: filter.CharBuf},
			"proc.pname":    {Type: filter.CharBuf},
			"proc.cmdline":  {Type: filter.CharBuf},
			"proc.aname":    {Type: filter.CharBuf, Any: true, NoRight: true, NoTransform: true},
			"proc.apid":     {Type: filter.Int64, Any: true, NoRight: true, NoTransform: true},
			"proc.pid":      {Type: filter.Int64},
			"proc.ppid":     {Type: filter.Int64},
			"proc.duration": {Type: filter.RelTime},
			"user.uid":      {Type: filter.Uint32},
			"fd.name":       {Type: filter.CharBuf},
			"fd.num":        {Type: filter.Int64},
			"fd.sport":      {Type: filter.Port},
			"fd.port":       {Type: filter.Port, Any: true, NotEqualAll: true, NoRight: true, NoTransform: true},
			"fd.sip":        {Type: filter.IPAddr},
			"fd.cip":        {Type: filter.IPAddr},
			"fd.ip":         {Type: filter.IPAddr, Any: true, NotEqualAll: true, NoRight: true, NoTransform: true},
			"fd.snet":       {Type: filter.IPNet, NoRight: true, NoTransform: true},
			"fd.net":        {Type: filter.IPNet, Any: true, NotEqualAll: true, NoRight: true, NoTransform: true},
			"fd.types":      {Type: filter.CharBuf, List: true},
			"fd.connected":  {Type: filter.Bool},
			"evt.buffer":    {Type: filter.ByteBuf},
			"evt.cpu":       {Type: filter.Int16},
			"thread.cpu":    {Type: filter.Double},
			"proc.env":      {Type: filter.CharBuf},
			"secret.field":  {Type: filter.CharBuf, Unsupported: "nobody can know"},
		}},
		Types: []string{"open", "openat", "openat2", "execve", "connect", "asyncevent"},
	}
}

func addr(s string) filter.Value { return filter.Value{Addr: netip.MustParseAddr(s)} }

func addrs(list ...string) filter.Value {
	v := filter.Value{List: []filter.Value{}}
	for _, s := range list {
		v.List = append(v.List, addr(s))
	}
	return v
}

func compile(t testing.TB, src filter.Source, cond string) (*filter.Machine, filter.Cond, *filter.Expr) {
	t.Helper()
	e, err := filter.ParseString(cond)
	if err != nil {
		t.Fatalf("parsing %s: %v", cond, err)
	}
	c := filter.NewCompiler(src)
	res, err := c.Add(e)
	if err != nil {
		t.Fatalf("compiling %s: %v", cond, err)
	}
	return c.Program().NewMachine(), res.Cond, e
}

func TestEval(t *testing.T) {
	ev := Event{
		"evt.type":      Str("openat"),
		"proc.name":     Str("Cat"),
		"proc.pname":    Str("bash"),
		"proc.cmdline":  Str("cat /etc/shadow"),
		"proc.aname":    Strs("bash", "sshd", "systemd"),
		"proc.aname[2]": Str("sshd"),
		"proc.apid":     Nums(10, 5, 1),
		"proc.pid":      Num(100),
		"proc.ppid":     Num(10),
		"proc.duration": Num(-1), // all bits set: as unsigned, huge
		"user.uid":      Num(4294967295),
		"fd.name":       Str("/etc/pam.d/Sudo"),
		"fd.num":        Num(-1),
		"fd.sport":      Num(443),
		"fd.port":       Nums(50000, 443),
		"fd.sip":        addr("10.1.2.3"),
		"fd.cip":        addr("::1"),
		"fd.ip":         addrs("192.168.0.1", "10.1.2.3"),
		"fd.snet":       addr("10.1.2.3"),
		"fd.net":        addrs("192.168.0.1", "10.1.2.3"),
		"fd.types":      Strs("file", "ipv4"),
		"fd.connected":  Num(1),
		"evt.buffer":    Str("AB\x00CD"),
		"evt.cpu":       Num(-3),
		"thread.cpu":    {Float: 2.5},
		"proc.env[A B]": Str("x=y"),
	}
	missing := Event{"evt.type": Str("openat"), "fd.ip": addrs(), "proc.aname": Strs()}
	src := testSource()
	for _, tt := range []struct {
		cond string
		want bool
	}{
		{`proc.name = Cat`, true},
		{`proc.name == Cat`, true},
		{`proc.name = cat`, false},
		{`proc.name != cat`, true},
		{`proc.name = "Cat"`, true},
		{`proc.name < 5`, false},
		{`proc.name >= 5`, true}, // by bytes
		{`proc.name exists`, true},
		{`proc.name in (dog, Cat)`, true},
		{`proc.name in (a, b, c, d, e, Cat)`, true},
		{`proc.name in (a, b, c, d, e, cat)`, false},
		{`proc.name in ()`, false},
		{`not proc.name in ()`, true},
		{`proc.name intersects (dog, Cat)`, true},
		{`proc.cmdline contains /etc`, true},
		{`proc.cmdline contains /ETC`, false},
		{`proc.cmdline icontains /ETC`, true},
		{`proc.cmdline contains ""`, true},
		{`proc.cmdline startswith cat`, true},
		{`proc.cmdline startswith /etc`, false},
		{`proc.cmdline endswith shadow`, true},
		{`proc.cmdline glob "cat *"`, true},
		{`fd.name glob /etc/*`, true}, // * crosses /
		{`fd.name glob /etc/*/sudo`, false},
		{`fd.name iglob /ETC/*/sudo`, true},
		{`fd.name glob etc`, false},
		{`fd.name regex '/etc/.*'`, true},
		{`fd.name regex 'etc'`, false}, // the whole value must match
		{`fd.name regex '/etc/[a-z.]+/(Su|su)do'`, true},
		{`fd.name regex 'a|/etc/pam.d/Sudo|b'`, true},
		{`fd.name regex '('`, false},
		{`fd.name pmatch (/etc)`, true},
		{`fd.name pmatch (/et)`, false},
		{`fd.name pmatch (/var, /etc/pam.d)`, true},
		{`fd.name pmatch (/etc/pam.d/Sudo/x)`, false},
		{`fd.name pmatch (/etc/*/Sudo)`, true},
		{`fd.name pmatch (/)`, true},
		{`proc.pid = 100`, true},
		{`proc.pid > 99`, true},
		{`proc.pid >= 101`, false},
		{`proc.pid < 101`, true},
		{`proc.pid in (1, 100)`, true},
		{`fd.num = -1`, true},
		{`fd.num < 0`, true},
		{`user.uid = -1`, true},
		{`user.uid = 4294967295`, true},
		{`user.uid > 5`, true},
		{`proc.duration > 5`, true}, // unsigned
		{`evt.cpu = -3`, true},
		{`evt.cpu < 0`, true},
		{`thread.cpu > 2`, true},
		{`thread.cpu < 3`, true},
		{`thread.cpu = 2`, false},
		{`fd.connected = true`, true},
		{`fd.connected != true`, false},
		{`fd.connected in (true, false)`, true},
		{`fd.sport = 443`, true},
		{`fd.sport = https`, true},
		{`fd.sport in (80, https)`, true},
		{`fd.sport < 1024`, true},
		{`fd.port = 50000`, true},
		{`fd.port = 443`, true},
		{`fd.port != 443`, false},
		{`fd.port != 80`, true},
		{`fd.port in (443)`, true},
		{`fd.port < 1024`, true},
		{`fd.sip = 10.1.2.3`, true},
		{`fd.sip != 10.1.2.4`, true},
		{`fd.sip != ::1`, true},
		{`fd.sip in (1.1.1.1, 10.1.2.3)`, true},
		{`fd.cip = ::1`, true},
		{`fd.ip = 192.168.0.1`, true},
		{`fd.ip = 10.1.2.3`, true},
		{`fd.ip != 10.1.2.3`, false},
		{`fd.ip != 1.1.1.1`, true},
		{`fd.ip in (10.1.2.3)`, false}, // as Falco 0.43
		{`fd.snet = 10.0.0.0/8`, true},
		{`fd.snet = 10.9.9.9/8`, true},
		{`fd.snet != 10.0.0.0/8`, false},
		{`fd.snet in (1.0.0.0/8, 10.0.0.0/8)`, true},
		{`fd.snet = fd00::/8`, false},
		{`fd.snet != fd00::/8`, true},
		{`fd.net = 192.168.0.0/16`, true},
		{`fd.net in (192.168.0.0/16, 1.0.0.0/8)`, true},
		{`fd.net in (1.0.0.0/8, 192.168.0.0/16)`, false}, // as Falco 0.43: the first only
		{`fd.net != 192.168.0.0/16`, false},
		{`fd.net != 1.0.0.0/8`, true},
		{`proc.aname = sshd`, true},
		{`proc.aname != sshd`, true}, // some ancestor is another
		{`proc.aname in (systemd)`, true},
		{`proc.aname contains ss`, true},
		{`proc.aname[2] = sshd`, true},
		{`proc.aname[3] = sshd`, false},
		{`proc.aname exists`, true},
		{`proc.apid = 5`, true},
		{`proc.apid > 9`, true},
		{`proc.apid in (5)`, false}, // as Falco 0.43
		{`fd.types in (file, ipv4, pipe)`, true},
		{`fd.types in (file)`, false},
		{`fd.types intersects (pipe, ipv4)`, true},
		{`fd.types intersects (pipe)`, false},
		{`evt.buffer contains B`, true},
		{`evt.buffer bcontains 420043`, true},
		{`evt.buffer bcontains 420044`, false},
		{`evt.buffer bstartswith 4142`, true},
		{`evt.buffer startswith AB`, true},
		{`evt.buffer endswith CD`, true},
		{`tolower(proc.name) = cat`, true},
		{`toupper(proc.name) = CAT`, true},
		{`basename(fd.name) = Sudo`, true},
		{`tolower(basename(fd.name)) = sudo`, true},
		{`len(proc.name) = 3`, true},
		{`len(fd.types) = 2`, true},
		{`len(evt.buffer) = 5`, true},
		{`b64(proc.pname) exists`, true},
		{`b64(proc.cmdline) exists`, false}, // it is not base64
		{`proc.pid != val(proc.ppid)`, true},
		{`proc.ppid < val(proc.pid)`, true},
		{`proc.name = val(proc.pname)`, false},
		{`proc.cmdline contains tolower(proc.name)`, true},
		{`proc.env["A B"] = "x=y"`, true},
		{`evt.type in (open, openat)`, true},
		{`not evt.type = open`, true},
		{`proc.name = Cat and fd.num = -1`, true},
		{`proc.name = x or fd.num = -1`, true},
		{`not (proc.name = x or fd.num = -1)`, false},
		{`not not proc.name = Cat`, true},
		{`proc.name = Cat and not fd.name startswith /var and (fd.num > 0 or evt.type = openat)`, true},
	} {
		m, c, _ := compile(t, src, tt.cond)
		m.Reset(ev)
		if got := m.Eval(c); got != tt.want {
			t.Errorf("%s is %t, want %t", tt.cond, got, tt.want)
		}
		if got := m.Eval(c); got != tt.want {
			t.Errorf("%s is %t when asked again, want %t", tt.cond, got, tt.want)
		}
	}
	// A value that is missing makes a check false, whatever the operator.
	for _, cond := range []string{
		`proc.name = x`, `proc.name != x`, `proc.name exists`, `proc.pid != 1`, `proc.name in (a)`, `fd.sip != 1.2.3.4`, `fd.snet != 10.0.0.0/8`,
		`fd.ip != 1.2.3.4`, `fd.port != 1`, `proc.aname != x`, `tolower(proc.name) != x`, `len(proc.name) = 0`, `proc.name = val(proc.pname)`,
		`fd.types in (a)`, `fd.types intersects (a)`, `evt.buffer != x`, `fd.connected != true`, `secret.field != x`,
	} {
		m, c, _ := compile(t, src, cond)
		m.Reset(missing)
		if m.Eval(c) {
			t.Errorf("%s is true without a value", cond)
		}
		m, c, _ = compile(t, src, "not "+cond)
		m.Reset(missing)
		if !m.Eval(c) {
			t.Errorf("not %s is false without a value", cond)
		}
	}
}

// TestEvalNextEvent checks that nothing of an event is left for the next one.
func TestEvalNextEvent(t *testing.T) {
	m, c, _ := compile(t, testSource(), `tolower(proc.name) = cat and (fd.num = 1 or proc.aname = sh)`)
	for i, tt := range []struct {
		ev   Event
		want bool
	}{
		{Event{"proc.name": Str("CAT"), "fd.num": Num(1)}, true},
		{Event{"proc.name": Str("CAT")}, false},
		{Event{"proc.name": Str("Cat"), "proc.aname": Strs("x", "sh")}, true},
		{Event{"proc.aname": Strs("x", "sh")}, false},
		{Event{"proc.name": Str("cat"), "fd.num": Num(1)}, true},
	} {
		m.Reset(tt.ev)
		if got := m.Eval(c); got != tt.want {
			t.Errorf("event %d: got %t, want %t", i, got, tt.want)
		}
	}
}

// TestShared checks that conditions of one program do not disturb each other.
func TestShared(t *testing.T) {
	src := testSource()
	c := filter.NewCompiler(src)
	conds := map[string]bool{
		`proc.name = cat and fd.num = 1`:       true,
		`fd.num = 1 and proc.name = cat`:       true,
		`not (proc.name = cat and fd.num = 1)`: false,
		`proc.name = cat`:                      true,
		`proc.name != cat`:                     false,
		`proc.name = dog or fd.num = 1`:        true,
		`proc.name in (cat)`:                   true,
		`fd.num > 1`:                           false,
	}
	ids := map[string]filter.Cond{}
	for s := range conds {
		e, err := filter.ParseString(s)
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.Add(e)
		if err != nil {
			t.Fatal(err)
		}
		ids[s] = res.Cond
	}
	if ids[`proc.name = cat and fd.num = 1`] != ids[`fd.num = 1 and proc.name = cat`] {
		t.Error("equal conditions are not shared")
	}
	m := c.Program().NewMachine()
	for range 3 {
		m.Reset(Event{"proc.name": Str("cat"), "fd.num": Num(1)})
		for s, want := range conds {
			if got := m.Eval(ids[s]); got != want {
				t.Errorf("%s is %t, want %t", s, got, want)
			}
		}
	}
}

func TestEventTypes(t *testing.T) {
	all := []string{"open", "openat", "execve", "connect"}
	for cond, want := range map[string][]string{
		`evt.type = open`: {"open"},
		`evt.type in (open, openat) and proc.name = x`:                  {"open", "openat"},
		`evt.type = open or evt.type = execve`:                          {"execve", "open"},
		`evt.type = open or proc.name = x`:                              all,
		`evt.type = open and evt.type = execve`:                         nil,
		`not evt.type = open`:                                           {"connect", "execve", "openat"},
		`evt.type != open`:                                              {"connect", "execve", "openat"},
		`not evt.type != open`:                                          {"open"},
		`not (evt.type = open or proc.name = x)`:                        {"connect", "execve", "openat"},
		`not (evt.type = open and proc.name = x)`:                       all,
		`evt.type exists`:                                               all,
		`not evt.type exists`:                                           nil,
		`evt.type startswith open`:                                      all,
		`not proc.name = x`:                                             all,
		`evt.type in (open, execve) and not evt.type in (open)`:         {"execve"},
		`(evt.type = open and proc.name = a) or syscall.type = connect`: {"connect", "open"},
	} {
		e, err := filter.ParseString(cond)
		if err != nil {
			t.Fatal(err)
		}
		got := filter.EventTypes(e).Names(all)
		if len(want) == len(all) {
			want = []string{"connect", "execve", "open", "openat"}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", cond, d)
		}
	}
}

func TestUnsupported(t *testing.T) {
	for cond, want := range map[string]string{
		`secret.field = x`: "secret.field: nobody can know",
	} {
		e, err := filter.ParseString(cond)
		if err != nil {
			t.Errorf("%s: %v", cond, err)
			continue
		}
		res, err := filter.NewCompiler(testSource()).Add(e)
		if err != nil {
			t.Errorf("%s: %v", cond, err)
			continue
		}
		if d := cmp.Diff([]string{want}, res.Unsupported); d != "" {
			t.Errorf("%s (-want +got):\n%s", cond, d)
		}
	}
}

// TestFold checks that conditions that were cut down for a type of events
// are true for the same of them.
func TestFold(t *testing.T) {
	src := testSource()
	c := filter.NewCompiler(src)
	var conds []filter.Cond
	texts := []string{
		`evt.type = open`, `evt.type != open`, `not evt.type = open`, `evt.type in (open, openat) and proc.name = cat`,
		`evt.type = execve or proc.name = cat`, `not (evt.type = execve or proc.name = cat)`, `evt.type exists`, `not evt.type exists`,
		`(evt.type = open and proc.name = cat) or (evt.type = openat and proc.name = dog)`, `evt.type startswith open and proc.name exists`,
		`not (evt.type = open and not (proc.name = cat and evt.type in (open, execve)))`, `proc.name = cat`,
		`(evt.type = openat or proc.name = dog) and (proc.name = dog or fd.num = 1)`,
	}
	for _, text := range texts {
		e, err := filter.ParseString(text)
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.Add(e)
		if err != nil {
			t.Fatal(err)
		}
		conds = append(conds, res.Cond)
	}
	folded, out := c.Program().Fold(map[string][]filter.Cond{"open": conds, "openat": conds, "execve": conds, "connect": conds})
	m, mf := c.Program().NewMachine(), folded.NewMachine()
	for typ, list := range out {
		for _, ev := range []Event{{}, {"proc.name": Str("cat")}, {"proc.name": Str("dog"), "fd.num": Num(1)}} {
			ev["evt.type"] = Str(typ)
			m.Reset(ev)
			mf.Reset(ev)
			for i, c := range conds {
				want := m.Eval(c)
				got := list[i].Always || !list[i].Never && mf.Eval(list[i].Cond)
				if got != want {
					t.Errorf("%s of %s for %v is %t, want %t", texts[i], typ, ev, got, want)
				}
			}
		}
	}
	if !out["connect"][0].Never || !out["connect"][3].Never || !out["open"][0].Always {
		t.Errorf("what the type decides is still asked: %+v", out)
	}
}
