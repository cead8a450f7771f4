// SPDX-License-Identifier: Apache-2.0

package falco

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// logTail keeps the last lines that a Falco writes, and passes all on.
type logTail struct {
	logf func(format string, args ...any)

	mu      sync.Mutex
	lines   []string
	part    []byte
	changed chan struct{} // closed at the next line, when somebody waits
}

// keepLines bounds the log that is kept; an error of a rules file is short.
const keepLines = 400

// Write takes a piece of the log.
func (l *logTail) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.part = append(l.part, b...)
	for {
		i := bytes.IndexByte(l.part, '\n')
		if i < 0 && len(l.part) < 64<<10 {
			return len(b), nil
		}
		if i < 0 {
			i = len(l.part) - 1
		}
		l.add(strings.TrimRight(string(l.part[:i]), "\r"))
		l.part = l.part[i+1:]
	}
}

// flush takes what has no end of line.
func (l *logTail) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.part) > 0 {
		l.add(string(l.part))
		l.part = nil
	}
}

func (l *logTail) add(line string) {
	l.lines = append(l.lines, line)
	if n := len(l.lines); n > 2*keepLines {
		l.lines = append(l.lines[:0], l.lines[n-keepLines:]...)
	}
	l.logf("falco: %s", line)
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// last returns the last lines, at most n.
func (l *logTail) last(n int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines[max(0, len(l.lines)-n):]...)
}

func (l *logTail) tail(n int) string { return strings.Join(l.last(n), "\n") }

// wait returns when a line holds the text.
func (l *logTail) wait(ctx context.Context, text string) error {
	for {
		l.mu.Lock()
		for _, line := range l.lines {
			if strings.Contains(line, text) {
				l.mu.Unlock()
				return nil
			}
		}
		if l.changed == nil {
			l.changed = make(chan struct{})
		}
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %q in the log: %w", text, ctx.Err())
		}
	}
}

// reason returns why a Falco did not start, as far as its log says.
func (l *logTail) reason() error {
	lines := l.last(2 * keepLines)
	if errs := parseErrors(lines); len(errs) > 0 {
		return errors.Join(errs...)
	}
	text := strings.Join(lines, "\n")
	for _, known := range []struct{ sign, hint string }{
		{"Operation not permitted", "a Falco needs root, or the capabilities SYS_ADMIN or BPF, PERFMON, SYS_RESOURCE and SYS_PTRACE"},
		{"Permission denied", "a Falco needs root, or the capabilities SYS_ADMIN or BPF, PERFMON, SYS_RESOURCE and SYS_PTRACE"},
		{"/dev/falco0", "its kernel module is not loaded; the engine kind modern_ebpf needs none"},
		{"nonexistent field container.", "the fields container.* need the container plugin: give its library"},
	} {
		if strings.Contains(text, known.sign) && strings.Contains(text, "Error: ") {
			return fmt.Errorf("%s: %s", firstError(lines), known.hint)
		}
	}
	if e := firstError(lines); e != "" {
		return errors.New(e)
	}
	return nil
}

func firstError(lines []string) string {
	for i, line := range lines {
		if rest, ok := strings.CutPrefix(line, "Error: "); ok {
			if i > 0 && strings.Contains(lines[i-1], "errno") {
				rest += " (" + lines[i-1] + ")"
			}
			return rest
		}
	}
	return ""
}

// RuleError is an error in a rules file, as a Falco reports it.
type RuleError struct {
	File         string
	Line, Column int    // from 1; 0 where the Falco does not tell
	Item         string // e.g. "rule 'Read sensitive file untrusted'"
	Code         string // e.g. LOAD_ERR_COMPILE_CONDITION
	Message      string
	Snippet      string // of the file or condition, with a mark below the place
}

// Error returns file:line:column and what is wrong there.
func (e *RuleError) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
	}
	b.WriteString(": ")
	if e.Item != "" {
		b.WriteString(e.Item + ": ")
	}
	b.WriteString(e.Code + ": " + e.Message)
	if e.Snippet != "" {
		b.WriteString("\n" + e.Snippet)
	}
	return b.String()
}

var (
	invalidPattern  = regexp.MustCompile(`^(?:Error: )?(.+): Invalid$`)
	locationPattern = regexp.MustCompile(`^\s*(?:In )?(.+?): \((.*):(\d+):(\d+)\)$`)
	codePattern     = regexp.MustCompile(`^(LOAD_ERR_[A-Z_]+) \([^)]*\): (.*)$`)
)

// parseErrors reads the errors of rules files from a Falco's log. Falco counts
// lines and columns from 0, and gives the place inside a condition apart.
func parseErrors(lines []string) []error {
	var errs []error
	var e *RuleError
	ruler := false // between the two lines of dashes around the snippet
	for _, line := range lines {
		if m := invalidPattern.FindStringSubmatch(line); m != nil {
			e, ruler = &RuleError{File: m[1]}, false
			continue
		}
		if e == nil {
			continue
		}
		if line == "------" {
			ruler = !ruler
			continue
		}
		if ruler {
			if e.Snippet != "" {
				e.Snippet += "\n"
			}
			e.Snippet += "    " + line
			continue
		}
		if m := codePattern.FindStringSubmatch(line); m != nil {
			e.Code, e.Message = m[1], m[2]
			errs = append(errs, e)
			e = &RuleError{File: e.File} // the file may have more
			continue
		}
		if m := locationPattern.FindStringSubmatch(line); m != nil {
			if strings.HasPrefix(m[2], `"`) {
				continue // a place in the expression, not in the file
			}
			l, err1 := strconv.Atoi(m[3])
			c, err2 := strconv.Atoi(m[4])
			if err1 != nil || err2 != nil {
				continue
			}
			e.Line, e.Column = l+1, c+1
			if strings.Contains(m[1], "'") {
				e.Item = m[1]
			}
		}
	}
	return errs
}
