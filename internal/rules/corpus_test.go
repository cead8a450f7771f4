// SPDX-License-Identifier: Apache-2.0

package rules_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/falcotest/go-falcotest/internal/source/syscall/fields"
)

// corpusFile holds rules files that generateCorpus made, with what Falco 0.43.1
// said of them when it validated each alone, without plugins.
const corpusFile = "testdata/corpus.jsonl.gz"

// realFalco names a Falco 0.43.1: with -update, TestCorpus asks it anew.
// realPlugins is the folder of its plugins k8saudit and json.
const (
	realFalco   = "FALCOTEST_REAL_FALCO"
	realPlugins = "FALCO_PLUGINS"
)

var noPlugins = map[string]string{}

// corpusDisagreements are the files of the corpus of which this package says
// something else, and why.
var corpusDisagreements = map[string]string{}

// TestCorpus compares what Falco 0.43.1 said of generated rules files: items,
// YAML, conditions and outputs, most of them a little wrong.
func TestCorpus(t *testing.T) {
	if falco := os.Getenv(realFalco); falco != "" && os.Getenv(realPlugins) != "" && flag.Lookup("update").Value.String() == "true" {
		recordCorpus(t, falco, generateCorpus(1, 300))
	}
	f, err := os.Open(corpusFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	compareVerdicts(t, decodeVerdicts(t, z), noPlugins, corpusDisagreements)
}

// TestRealFalco compares files that nobody has recorded with a Falco that is there.
func TestRealFalco(t *testing.T) {
	falco := os.Getenv(realFalco)
	if falco == "" || os.Getenv(realPlugins) == "" {
		t.Skip(realFalco + " names no Falco 0.43.1, or " + realPlugins + " not the folder of its plugins")
	}
	seed := uint64(os.Getpid())
	t.Logf("seed %d", seed)
	cases := generateCorpus(seed, 20)
	askFalco(t, falco, cases)
	compareVerdicts(t, cases, noPlugins, nil)
}

func recordCorpus(t *testing.T, falco string, cases []*verdict) {
	t.Helper()
	askFalco(t, falco, cases)
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	e := json.NewEncoder(z)
	e.SetEscapeHTML(false)
	for _, c := range cases {
		if err := e.Encode(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(corpusFile, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

// askFalco fills in what a Falco says of rules files.
func askFalco(t *testing.T, falco string, cases []*verdict) {
	t.Helper()
	plugins := os.Getenv(realPlugins)
	const text = "json_output: true\nconfig_files: []\nstdout_output: {enabled: true}\nsyslog_output: {enabled: false}\ngrpc: {enabled: false}\ngrpc_output: {enabled: false}\nwebserver: {enabled: false}\n"
	alone, audit := filepath.Join(t.TempDir(), "alone.yaml"), filepath.Join(t.TempDir(), "audit.yaml")
	for name, text := range map[string]string{
		alone: text + "load_plugins: []\n",
		audit: text + fmt.Sprintf("load_plugins: [k8saudit, json]\nplugins:\n  - {name: k8saudit, library_path: %s, open_params: \"http://127.0.0.1:1/k8s-audit\"}\n  - {name: json, library_path: %s}\n",
			filepath.Join(plugins, "libk8saudit.so"), filepath.Join(plugins, "libjson.so")),
	} {
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	todo := make(chan *verdict)
	var wg sync.WaitGroup
	for i := range 3 {
		rules := filepath.Join(t.TempDir(), fmt.Sprintf("rules%d.yaml", i))
		wg.Go(func() {
			for c := range todo {
				config := alone
				if c.audit() {
					config = audit
				}
				if err := c.ask(falco, config, rules); err != nil {
					t.Errorf("%s: %v", c.Name, err)
				}
			}
		})
	}
	for _, c := range cases {
		todo <- c
	}
	close(todo)
	wg.Wait()
}

func (c *verdict) ask(falco, config, rules string) error {
	if err := os.WriteFile(rules, c.data(), 0o666); err != nil {
		return err
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(falco, "-c", config, "-V", rules)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var result struct {
		Results []struct {
			Successful bool
			Errors     []struct{ Code, Message string }
			Warnings   []struct{ Code string }
		} `json:"falco_load_results"`
	}
	if json.Unmarshal(stdout.Bytes(), &result) != nil || len(result.Results) != 1 {
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		c.Throws = strings.TrimSpace(lines[len(lines)-1])
		if err != nil {
			c.Throws = strings.ReplaceAll(c.Throws+": "+err.Error(), rules, "rules.yaml")
		}
		return nil
	}
	r := result.Results[0]
	c.OK = r.Successful
	for _, e := range r.Errors {
		c.Errors, c.Messages = append(c.Errors, e.Code), append(c.Messages, e.Message)
	}
	for _, w := range r.Warnings {
		c.Warnings = append(c.Warnings, w.Code)
	}
	return nil
}

// audit tells whether a case was recorded with the plugins for audit events.
func (c *verdict) audit() bool { return strings.HasPrefix(c.Name, "audit_") }

func (c *verdict) data() []byte {
	if c.RulesFileBase64 != nil {
		return c.RulesFileBase64
	}
	return []byte(c.RulesFile)
}

func decodeVerdicts(t *testing.T, r io.Reader) (list []*verdict) {
	t.Helper()
	d := json.NewDecoder(r)
	for {
		c := &verdict{}
		if err := d.Decode(c); err == io.EOF {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, c)
	}
}

// generateCorpus makes n rules files of each kind. The same seed gives the same
// files.
func generateCorpus(seed uint64, n int) (cases []*verdict) {
	for _, kind := range []struct {
		name string
		make func(*generator) string
	}{
		{"condition", (*generator).conditionFile}, {"output", (*generator).outputFile}, {"items", (*generator).itemsFile},
		{"exceptions", (*generator).exceptionsFile}, {"lists", (*generator).listsFile}, {"types", (*generator).typesFile}, {"audit", (*generator).auditFile}, {"yaml", (*generator).yamlFile},
	} {
		for i := range n {
			g := &generator{rand.New(rand.NewPCG(seed, uint64(len(cases))))}
			c := &verdict{Name: fmt.Sprintf("%s_%03d", kind.name, i)}
			if text := kind.make(g); utf8.ValidString(text) {
				c.RulesFile = text
			} else {
				c.RulesFileBase64 = []byte(text)
			}
			cases = append(cases, c)
		}
	}
	return cases
}

// generator makes rules files by chance.
type generator struct{ *rand.Rand }

func (g *generator) pick(list ...string) string { return list[g.IntN(len(list))] }

// often picks the first, seldom one of the others.
func (g *generator) often(first string, others ...string) string {
	if g.IntN(6) > 0 {
		return first
	}
	return g.pick(others...)
}

func (g *generator) chance(one, of int) bool { return g.IntN(of) < one }

// many joins what make gives, from few to more times.
func (g *generator) many(few, more int, sep string, make func() string) string {
	var parts []string
	for range few + g.IntN(more-few+1) {
		parts = append(parts, make())
	}
	return strings.Join(parts, sep)
}

func quoteYAML(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func rule(name, condition, output string) string {
	return "- rule: " + name + "\n  desc: d\n  condition: " + condition + "\n  output: " + output + "\n  priority: INFO\n"
}

const helpers = "- list: names\n  items: [a, b]\n- list: nothing\n  items: []\n- macro: m\n  condition: (evt.type in (open, openat) and proc.name in (names))\n"

func (g *generator) field() string {
	return g.often(g.pick("proc.name", "fd.name", "proc.pid", "evt.type", "evt.is_open_read", "fd.sip", "fd.sport", "user.name", "user.uid", "proc.cmdline"),
		"proc.aname", "proc.aname[2]", "proc.aname[x]", "proc.env[HOME]", "proc.env['A B']", `proc.env["a]b"]`, "proc.env[A\\B]", "evt.arg.flags", "evt.arg[0]", "evt.arg[x]", "evt.arg", "evt.arg.nosuch",
		"evt.rawarg.flags", "evt.rawarg.res", "evt.rawarg", "evt.rawarg.sig", "evt.rawarg.tuple", "evt.rawarg.data", "evt.rawarg.euid", "evt.arg.flagsx", "fd.net", "fd.snet", "fd.ip", "fd.port", "fd.types", "fd.types[1]", "fd.types[x]", "fd.types[-1]", "evt.buffer", "evt.latency", "evt.dir",
		"fs.path.name", "thread.cgroup.cpu", "thread.cgroups", "evt.abspath", "evt.abspath.src", "evt.around[1]", "proc.nosuch", "fd.nam", "proc.name[1]", "user.name[a]", "evt.res", "evt.failed", "evt.rawres", "fd.num",
		"evt.category", "evt.source", "proc.duration", "group.gid", "fdlist.names", "syscall.type", "evt.asynctype", "evt.count", "proc.args[1]", "proc.aargs[1]", "proc.acmdline[1]", "Proc.name", "proc .name", "proc", "ka.verb")
}

func (g *generator) transformed(field string) string {
	t := func() string { return g.pick("tolower", "toupper", "b64", "basename", "len", "val", "join", "nosuch") }
	switch g.IntN(12) {
	case 0:
		return t() + "(" + field + ")"
	case 1:
		return t() + "( " + t() + "(" + field + " ))"
	case 2:
		return g.pick(t()+"("+field, t()+" ("+field+")", t()+"()", t()+"("+field+", x)", t()+"('a')")
	}
	return field
}

func (g *generator) value() string {
	return g.often(g.pick("a", "/etc/passwd", "5", "open", "openat", "true", "names", "1.2.3.4"),
		"'a b'", `"a b"`, `"a\"b"`, `'a\'b'`, `"a\tb"`, `"\x41"`, `"\d"`, `'a`, "a'b", "a\"b", "-1", "+1", "0x1F", "1.5", "1e+3", "1e3", "99999999999999999999", "10.0.0.0/8", "10.0.0.0/33", "::1", "::1/64", "fe80::/10", "1.2.3",
		"http", "ssh", "nosuchservice", "true", "false", "yes", "<NA>", "proc.name", "tolower(x)", "val(proc.name)", "val(fd.name)", "val(proc.pid)", "val(nosuch.field)", "val(evt.type)", "tolower(proc.name)", "len(fd.name)", "*", "a*", "^a$", ".*a.*", "(", "[a", "\\", "ä", "a,b", "a=b", "a)b", "",
		"0a0b", "0a0", "xyz", strings.Repeat("x", 254), strings.Repeat("x", 255), strings.Repeat("x", 256), "O_RDONLY", "nothing", "m", "not", "and", "or", "a\\ b", "%proc.name", "'%a'", "true1", "65536", "70000")
}

func (g *generator) list() string {
	return g.often("("+g.many(1, 3, g.pick(", ", ",", " , "), g.value)+")", "()", "( )", "(a,)", "(,a)", "(a b)", "names", "nothing", "(names)", "(names, nothing)", "(nothing)", "(a, (b))", "a", "'a'", "5", "val(proc.name)", "tolower(fd.name)", "(", ")", "(val(proc.name))", `("\x", a)`, `("\x")`, "((a))")
}

func (g *generator) check() string {
	left, blank := g.transformed(g.field()), g.often(" ", "", "  ", "\t", "\n", "\v", "\u00a0")
	switch g.IntN(5) {
	case 0:
		return left + blank + g.often("exists", "exist", "Exists", "existsa", "exists a", "exists=a")
	case 1:
		return left + blank + g.often(g.pick("in", "intersects", "pmatch"), "not in", "In", "inn", "=in") + g.often(" ", "", "\n") + g.list()
	case 2:
		return left + blank + g.pick("<", "<=", ">", ">=") + blank + g.often(g.pick("1", "5", "0x10", "-3", "1.5"), g.value())
	}
	op := g.often(g.pick("=", "!=", "contains", "startswith", "endswith", "="), "==", "===", "glob", "iglob", "icontains", "bcontains", "bstartswith", "regex", "~", "<>", "is", "CONTAINS", "oneof", "startswith anyof", "contains oneof")
	return left + blank + op + g.often(" ", "", "\t", "\n") + g.often(g.value(), g.list())
}

func (g *generator) condition(depth int) string {
	switch g.IntN(6 + depth) {
	case 0, 1:
		if depth < 3 {
			word := g.pick("and", "or")
			return g.condition(depth+1) + g.often(" "+word+" ", word+" ", " "+word, " "+strings.ToUpper(word)+" ", "\n"+word+"\n", " "+word+" "+word+" ", " "+word+"(", " , ") + g.condition(depth+1)
		}
	case 2:
		if depth < 3 {
			return g.often("(", "( ", "((", "") + g.condition(depth+1) + g.often(")", " )", "))", "")
		}
	case 3:
		return g.often("not ", "not(", "not not ", "NOT ", "not\n", "!", "not") + g.condition(depth+1)
	case 4:
		return g.often("m", "names", "nosuchmacro", "m m", "(m)", "m(", "not_m", "m-x", "m.x", "5")
	}
	return g.check()
}

func (g *generator) conditionFile() string {
	cond := g.condition(0)
	if g.chance(2, 3) {
		cond = "evt.type = open and " + cond
	}
	return helpers + rule("r", quoteYAML(cond), "o") + rule("uses all", "m and proc.name in (nothing)", "o")
}

func (g *generator) outputPart() string {
	switch g.IntN(8) {
	case 0:
		return g.pick(" ", "text", ":", "(", ")", "[", "]", ".", ",", "*", "\n", "ä")
	case 1:
		return g.pick("%", "%%", "% ", "%1", "%10", "%-5proc.name", "%proc", "%.name", "%proc.", "%[x]", "%(proc.name)", "%PROC.NAME", "%val(proc.name)", "%container.info", "%evt.dir", "%evt.latency")
	case 2:
		return "%" + fmt.Sprint(g.IntN(30)) + g.field()
	case 3:
		return "%" + g.transformed(g.field())
	case 4:
		return "%" + g.field() + g.pick("x", "[", "[]", "[0]", "[a]", "[a b]", "[a", "]", ".x", ".", "_", "-", "%", "[%proc.name]")
	}
	return "%" + g.field()
}

func (g *generator) outputFile() string {
	return rule("r", "evt.type = open", quoteYAML(g.often("", "*", " ", "* ")+g.many(1, 3, g.often(" ", ""), g.outputPart)+g.often("", " ", "\n")))
}

// scalarValue is a value that may be none.
func (g *generator) yamlValue(good string) string {
	return g.often(good, "~", "null", "", "''", "' '", "[]", "{}", "[a]", "{a: b}", "5", "true", "!!str ~", "!!str", "&a x", "|", "| \n    x", "\"\\x41\"", "a: b", "'a", "# x", "0x10", "1.5", "- a")
}

func (g *generator) itemsFile() string {
	text := ""
	if g.chance(1, 2) {
		text = helpers + rule("base", "m and proc.name in (nothing)", "o")
	}
	for range 1 + g.IntN(2) {
		text += g.item()
	}
	return text
}

func (g *generator) item() string {
	key := func(name, good string) string { return "  " + name + ": " + g.yamlValue(good) + "\n" }
	some := func(of int, name, good string) string {
		if g.chance(1, of) {
			return key(name, good)
		}
		return ""
	}
	overrides := func(keys ...string) string {
		if g.chance(1, 2) {
			return some(4, "append", g.pick("true", "false", "yes", "on", "N", "tRUE"))
		}
		text := "  override:" + g.often("\n", " ~\n", " []\n", " x\n", " [a]\n", " {}\n")
		if strings.HasSuffix(text, ":\n") {
			for range 1 + g.IntN(2) {
				text += "    " + g.often(g.pick(keys...), "source", "rule", "nosuch", "~", "[a]") + ": " + g.often(g.pick("append", "replace"), "Append", "~", "[append]", "remove") + "\n"
			}
		}
		return text
	}
	switch g.IntN(12) {
	case 0:
		return "- required_engine_version: " + g.yamlValue(g.pick("0.58.0", "0.58.1", "0.57.9", "1.0.0", "58", "59", "0x1", "010", "0b1", "+5", "-5", "5 ", "1_0", "0.58", "v0.1.0", "0.58.0-rc1", "00.5.1", " 0.1.0", "0.1.0.9", "18446744073709551616.0.0")) + "\n"
	case 1:
		return "- required_plugin_versions:\n" + g.often("  - name: "+g.yamlValue("acme")+"\n    version: "+g.yamlValue(g.pick("0.1.0", "0.1", "x"))+"\n"+g.often("", "    alternatives:\n      - {name: k8saudit, version: 0.1.0}\n", "    alternatives: ~\n", "    alternatives: [a]\n", "    alternatives:\n      - {name: json, version: 0.1.0}\n", "    alternatives:\n      - {name: a}\n"), "  a\n", "  []\n", "  {}\n", "  - a\n", "  - ~\n")
	case 2, 3:
		return "- list: " + g.yamlValue(g.pick("names", "new", "a b", "a,b", "'a''b'")) + "\n" + some(1, "items", g.pick("[c, d]", "[]", "[a, ~]", "[a, [b]]", "[names]", "[1, true]", "[a, 'b c']", "[ä]")) + overrides("items")
	case 4, 5:
		return "- macro: " + g.yamlValue(g.pick("m", "new", "a-b", "a.b", "5", "not")) + "\n" + some(1, "condition", g.pick("proc.name = a", "or evt.type = close", "and proc.name = a", "m", "m and", "new")) + overrides("condition")
	case 6:
		return g.pick("- ~\n", "-\n", "- a\n", "- [a]\n", "- {}\n", "- rul: x\n", "- a: b\n", "- {rule: r}\n", "- ? rule\n  : r\n", "- [rule]: r\n", "- macro: m\n  rule: r\n", "- rule: r\n  macro: m\n  condition: evt.type=open\n", "- rule: base\n  enabled: "+g.yamlValue("false")+"\n")
	}
	name := g.often("base", "r", "'a b'", "~", "''", "[a]", "true", "5")
	text := "- rule: " + name + "\n" + some(1, "condition", g.pick("evt.type = open", "and proc.name = a", "m", "evt.type = opn"))
	for _, k := range [][2]string{{"output", g.pick("o", "%proc.name", "' '", "more")}, {"desc", "d"}, {"priority", g.pick("INFO", "info", "Informational", "crit", "critical", "ERR", "debug ", "WARNING", "emerg")}} {
		if g.chance(4, 5) {
			text += key(k[0], k[1])
		}
	}
	text += some(5, "source", g.pick("syscall", "k8s_audit", "nosuch")) + some(5, "tags", g.pick("[a, b]", "[b, b]", "a", "[~]", "[[a]]", "[]")) + some(5, "enabled", g.pick("true", "no", "oN", "1"))
	text += some(6, "capture", "true") + some(6, "capture_duration", g.pick("5", "-5", "0x5", "5.5", "4294967296")) + some(6, "warn_evttypes", "false") + some(6, "skip-if-unknown-filter", "true") + some(8, "nosuchkey", "x")
	if g.chance(1, 3) {
		text += overrides("condition", "output", "desc", "tags", "exceptions", "priority", "enabled", "capture", "capture_duration", "warn_evttypes", "skip-if-unknown-filter")
	}
	return text
}

func (g *generator) exceptionsFile() string {
	entry := func(good string) string {
		return g.often(good, "~", "''", "[]", "{}", "[~]", "[a, b]", "[[a]]", "{a: b}", "5", "'a b'", "'\"q'", "(a)", "[(a)]")
	}
	exception := func() string {
		text := "    - name: " + g.often(g.pick("x", "y"), "~", "[a]", "''", "5") + "\n"
		single := g.chance(1, 2)
		if g.chance(5, 6) {
			fields := g.pick("[proc.name, fd.name]", "[proc.name]", "[proc.pid, proc.name]")
			if single {
				fields = g.pick("proc.name", "fd.name", "proc.pid", "fd.sip")
			}
			text += "      fields: " + g.often(fields, entry("x"), "[proc.nosuch]", "nosuch", "[tolower(proc.name)]", "tolower(proc.name)", "['proc.name', ~]", "proc.aname[2]", "''") + "\n"
		}
		if g.chance(1, 2) {
			comps := g.pick("[=, contains]", "[in]", "[in, in]", "[=]", "[startswith, pmatch]")
			if single {
				comps = g.pick("in", "pmatch", "intersects")
			}
			text += "      comps: " + g.often(comps, entry("="), "'='", "[nosuch, =]", "exists", "[exists, =]") + "\n"
		}
		if g.chance(5, 6) {
			values := g.pick("[[a, b], [c, d]]", "[[a], [b]]", "[[[a, b], c]]", "[[5, a]]", "[['(a, b)', c]]", "[['a b', \"'c d'\"]]", "[[names, names]]", "[[(names), b]]")
			if single {
				values = g.pick("[a, b]", "['a b', c]", "[names]", "[5]", "[1.2.3.4]", "[]")
			}
			text += "      values: " + g.often(values, entry("[a]"), "[[a]]", "[a]", "[[~, b]]", "[[]]", "[{a: b}, c]", "[[[~, a], b]]", "a") + "\n"
		}
		return text
	}
	list := func() string { return "  exceptions:\n" + g.many(1, 2, "", exception) }
	text := helpers + "- rule: r\n  desc: d\n  condition: m and proc.name in (nothing)\n  output: o\n  priority: INFO\n" + g.often(list(), "  exceptions: ~\n", "  exceptions: []\n", "  exceptions: a\n", "  exceptions: [a]\n", "")
	switch g.IntN(4) {
	case 0:
		text += "- rule: r\n  append: true\n" + list()
	case 1:
		text += "- rule: r\n" + list() + "  override:\n    exceptions: " + g.pick("append", "replace") + "\n"
	}
	return text
}

func (g *generator) listsFile() string {
	item := func() string {
		return g.often(g.pick("a", "b", "l0", "l1", "l2", "5", "open"), "~", "''", "'a b'", "'\"a b\"'", "\"'a b'\"", "'a,b'", "(a)", "a=b", "'a\"b'", "\"a'b\"", "and", "not", "[a]", "{a: b}", "'  '", "/x y", "%a", "proc.name", "<NA>", "ä")
	}
	text := ""
	for i := range 3 {
		text += fmt.Sprintf("- list: l%d\n  items: [%s]\n", i, g.many(0, 3, ", ", item))
		if g.chance(1, 5) {
			text += fmt.Sprintf("- list: l%d\n  items: [%s]\n  override: {items: %s}\n", g.IntN(4), g.many(0, 2, ", ", item), g.pick("append", "replace"))
		}
	}
	for i := range 2 {
		text += fmt.Sprintf("- macro: m%d\n  condition: %s\n", i, quoteYAML(g.pick("proc.name in (l0)", "proc.name in (l0, l1)", "proc.name = l0", "m0 or m1", "m1", "proc.name in l0", "l0", "proc.pname in (l0,l1,l2)", "evt.type in (l2)", "fd.name startswith l1", "proc.name in ( l0 )", "proc.name in (x, l1)", "proc.name in (l1, x)", "proc.name in (xl1, l1x, l1)", "(l0)", "fd.sport in (l0)")))
	}
	return text + rule("r", quoteYAML("evt.type = open and "+g.pick("m0", "m1", "(m0 or m1)", "proc.name in (l0)", "m0 and proc.name in (l1, l2)", "not m0", "m2", "proc.name in (l0, l0)")), "o")
}

// typesFile has conditions on the types of events.
func (g *generator) typesFile() string {
	names := fields.New().EventTypes()
	check := func() string {
		few := g.many(1, []int{3, 3, 3, 60, 120}[g.IntN(5)], ", ", func() string { return names[g.IntN(len(names))] })
		return g.often(g.pick("evt.type", "syscall.type")+g.pick(" in ", " in ", " intersects ")+"("+few+")", "evt.type = open", "evt.type != open", "evt.type exists", "proc.name = a", "evt.type startswith o", "evt.type = val(proc.name)", "tolower(evt.type) = open", "proc.name = val(evt.type)", "evt.type contains val(proc.name)", "tolower(evt.type) exists")
	}
	return rule("r", quoteYAML(g.often("", "not ")+"("+g.many(1, 3, g.pick(" and ", " or "), check)+")"), "o")
}

// auditFile has a rule for Kubernetes audit events, whose fields are plugins'.
func (g *generator) auditFile() string {
	field := func() string {
		return g.often(g.pick("ka.verb", "ka.user.name", "ka.uri.param[x]", "ka.sourceips[0]", "ka.req.pod.containers.image", "jevt.value[/a]", "json.value[/a/0]", "ka.target.name"),
			"ka.uri.param", "ka.uri.param['a b']", `ka.uri.param["a]b"]`, "ka.uri.param[a.b]", "ka.verb[0]", "ka.sourceips[01]", "ka.sourceips[x]", "ka.sourceips[-1]", "ka.sourceips[18446744073709551616]", "ka.nosuch", "ka.verbs", "json.value", "json.obj", "jevt.rawtime", "evt.time", "evt.type", "evt.source", "proc.name", "ka.req.binding.subjects", "ka.req.volume.hostpath[/x]", "ka.response.code")
	}
	check := func() string {
		f := field()
		if g.chance(1, 5) {
			f = g.pick("tolower", "len", "b64") + "(" + f + ")"
		}
		return f + g.pick(" = get", " != get", " in (get, list)", " intersects (a, <NA>)", " exists", " contains a", " = <NA>", " > 5", " startswith a", " pmatch (/a)", " = val(ka.verb)", " in val(ka.sourceips)")
	}
	part := func() string {
		return "%" + field() + g.often("", "[0]", "[a b]", "[", "x", ",%ka.uri.param[a]", ",[b]", "\n[x]", ")")
	}
	source := g.often("k8s_audit", "syscall")
	return rule("r", quoteYAML(g.many(1, 2, " and ", check)), quoteYAML(g.many(0, 3, g.often(" ", "", ","), part)+"o")) + "  source: " + source + "\n" + g.often("", "  skip-if-unknown-filter: true\n")
}

// yamlFile is a sound file with changes anywhere.
func (g *generator) yamlFile() string {
	text := g.pick(
		helpers+rule("r", "m and proc.name in (nothing)", "o %proc.name")+"  tags: [a, b]\n",
		"# comment\n- list: l\n  items:\n  - a\n  - 'b c'\n  - \"d\"\n- rule: r\n  desc: >\n    more\n    text\n\n    here\n  condition: |\n    evt.type = open and\n      proc.name in (l)\n  output: \"o \\\"x\\\"\"\n  priority: INFO\n",
		"- {list: l, items: [a, b]}\n- {rule: r, desc: d, condition: 'evt.type = open and proc.name in (l)', output: \"o\", priority: INFO}\n",
		"- &base\n  rule: r\n  desc: &d d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n---\n- rule: s\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n",
		"[{\"rule\": \"r\", \"desc\": \"d\", \"condition\": \"evt.type = open\", \"output\": \"o\", \"priority\": \"INFO\"}]\n",
	)
	pieces := []string{":", ": ", "- ", "-", " #", "#", "'", "\"", "[", "]", "{", "}", ",", ", ", "|", ">", "|-", ">+2", "|0", "&a ", "*a", "*d", "!t ", "!!str ", "!<x> ", "!<x", "!a!b ", "---\n", "--- ", "...\n", "---", "%YAML 1.2\n---\n", "%YAML 1\n", "%TAG ! x\n", "%X\n",
		"\t", " ", "  ", "\n", "\n\n", "\r", "\r\n", "\x00", "\x04", "\x1b", "\x7f", "\u0085", "\u00a0", "\u2028", "\ufeff", "\xe9", "\xff\xfe", "~", "null", "?", "? ", "@", "`", "%", "\\", "\\x", "\\u12", "<<: *a\n", "ä", "\n  ", "\n# c\n", "\n- ", "0"}
	for range 1 + g.IntN(2) {
		at := g.IntN(len(text) + 1)
		if line := strings.IndexByte(text[at:], '\n'); line >= 0 && g.chance(1, 3) {
			at += line + g.IntN(2) // line ends and starts matter most
		}
		switch g.IntN(4) {
		case 0: // leave something out
			cut := min(len(text), at+1+g.IntN(3))
			text = text[:at] + text[cut:]
		case 1: // put something in place
			cut := min(len(text), at+1+g.IntN(2))
			text = text[:at] + g.pick(pieces...) + text[cut:]
		default:
			text = text[:at] + g.pick(pieces...) + text[at:]
		}
	}
	return text
}
