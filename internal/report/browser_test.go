// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// chromium is the browser that the page is tested in.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium is installed here: the page is compared with what it was, and not looked at")
	return ""
}

// examine is put behind the page's own script: it uses the page as a person would, and
// notes what it finds.
const examine = `<script>
(() => {
  const at = id => document.getElementById(id), root = document.documentElement;
  const rows = [...document.querySelectorAll("li[data-outcome]")];
  const shown = () => rows.filter(r => r.offsetParent !== null).map(r => r.querySelector("code").textContent);
  const set = (id, value) => { at(id).value = value; at(id).dispatchEvent(new Event("input", {bubbles: true})); };
  const found = {};
  found.filters = !at("filters").hidden;
  found.all = at("count").textContent;
  found.open = rows.filter(r => r.querySelector("details").open).map(r => r.querySelector("code").textContent);
  found.outcomes = [...at("outcome").options].map(o => o.text);
  set("outcome", "missed"); found.missed = shown(); found.count = at("count").textContent;
  set("outcome", ""); set("q", "ANOTHER <rule> else"); found.alert = shown();
  set("q", "nothing has this"); found.none = shown();
  set("q", ""); set("priority", "Error"); found.error = shown();
  set("priority", "");
  // The whole page is read: what is folded is unfolded.
  for (const d of document.querySelectorAll("details")) d.open = true;
  found.sideways = root.scrollWidth - root.clientWidth;
  // By keyboard, everything is reached that can be used.
  found.unreachable = [...document.querySelectorAll("summary, input, select")].filter(e => { e.focus(); return document.activeElement !== e }).length;
  found.unnamed = [...document.querySelectorAll("input, select")].filter(e => !e.labels.length || !e.labels[0].textContent.trim()).length;
  // Text stands out from what is behind it, as WCAG 2.1 wants of text of this size.
  const light = c => { const v = c.match(/[\d.]+/g).slice(0, 3).map(x => x / 255).map(x => x <= .04045 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4); return .2126 * v[0] + .7152 * v[1] + .0722 * v[2] };
  const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (c !== "rgba(0, 0, 0, 0)" && c !== "transparent") return c } return "rgb(255, 255, 255)" };
  found.faint = [];
  for (const e of document.querySelectorAll("h1, h2, h3, p, span, code, pre, summary, strong, label, input, select")) {
    const a = light(getComputedStyle(e).color), b = light(behind(e)), ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) found.faint.push(e.className + " " + ratio.toFixed(1));
  }
  found.dark = matchMedia("(prefers-color-scheme: dark)").matches && light(getComputedStyle(document.body).backgroundColor) < .1;
  const pre = document.createElement("pre"); pre.id = "found"; pre.textContent = JSON.stringify(found); parent.document.body.append(pre);
})();
</script>`

var foundText = regexp.MustCompile(`(?s)<pre id="found">(.*?)</pre>`)

// page in a browser: filters and search work, it is as wide as a phone's screen, can be
// used by keyboard, and is readable in the light and in the dark.
func TestPageInBrowser(t *testing.T) {
	browser := chromium(t)
	var page bytes.Buffer
	if err := NewDocument(sample(), broken()).HTML(&page); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(page.String(), "http://") || strings.Contains(page.String(), "https://") {
		t.Error("the page names something of the network")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "page.html")
	if err := os.WriteFile(file, []byte(strings.Replace(page.String(), "</body>", examine+"</body>", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	type found struct {
		Filters              bool
		All, Count           string
		Open, Outcomes       []string
		Missed, Alert, None  []string
		Error                []string
		Sideways             int
		Unreachable, Unnamed int
		Faint                []string
		Dark                 bool
	}
	want := found{
		Filters: true, All: "10 of 10", Count: "2 of 10",
		Open:     []string{"syscall.RunShell", "syscall.RunAnother"},
		Outcomes: []string{"all", "detected (2)", "inconclusive (1)", "known miss (1)", "missed (2)", "silent (1)", "skipped (1)", "trigger failed (1)", "unexpected (1)"},
		Missed:   []string{"syscall.RunShell", "syscall.RunAnother"}, Alert: []string{"syscall.RunShell"}, None: []string{}, Error: []string{"syscall.WriteBelowEtc"},
		Faint: []string{},
	}
	for name, test := range map[string]struct {
		width int
		args  []string
		dark  bool
	}{
		"desk, light": {width: 1280},
		"phone, dark": {width: 360, args: []string{"--blink-settings=preferredColorScheme=0"}, dark: true},
	} {
		t.Run(name, func(t *testing.T) {
			// A window cannot be as narrow as a phone's screen, a frame can.
			frame := filepath.Join(dir, fmt.Sprintf("frame-%d.html", test.width))
			text := fmt.Sprintf(`<!DOCTYPE html><body><iframe src="page.html" width="%d" height="800" style="border: 0; color-scheme: light dark"></iframe></body>`, test.width)
			if err := os.WriteFile(frame, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			args := append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
				"--disable-background-networking", "--user-data-dir=" + t.TempDir(), "--window-size=1300,900", "--allow-file-access-from-files", "--dump-dom"}, test.args...)
			cmd := exec.CommandContext(ctx, browser, append(args, "file://"+frame)...)
			var problem bytes.Buffer
			cmd.Stderr = &problem
			cmd.WaitDelay = 10 * time.Second
			out, err := cmd.Output()
			m := foundText.FindSubmatch(out)
			if m == nil {
				t.Skipf("this Chromium does not show a page here (%v): %s", err, problem.String())
			}
			var got found
			if err := json.Unmarshal([]byte(html.UnescapeString(string(m[1]))), &got); err != nil {
				t.Fatal(err)
			}
			want := want
			want.Dark = test.dark
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}
