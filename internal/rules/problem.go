// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/falcotest/go-falcotest/internal/filter"
)

// Code is Falco's name of a load error or warning.
type Code string

// The codes of errors.
const (
	ErrFileRead         Code = "LOAD_ERR_FILE_READ"
	ErrYAMLParse        Code = "LOAD_ERR_YAML_PARSE"
	ErrYAMLValidate     Code = "LOAD_ERR_YAML_VALIDATE"
	ErrCompileCondition Code = "LOAD_ERR_COMPILE_CONDITION"
	ErrCompileOutput    Code = "LOAD_ERR_COMPILE_OUTPUT"
	ErrValidate         Code = "LOAD_ERR_VALIDATE"
	ErrExtension        Code = "LOAD_ERR_EXTENSION"
)

// The codes of warnings.
const (
	UnknownSource          Code = "LOAD_UNKNOWN_SOURCE"
	UnsafeNACheck          Code = "LOAD_UNSAFE_NA_CHECK"
	NoEventType            Code = "LOAD_NO_EVTTYPE"
	UnknownFilter          Code = "LOAD_UNKNOWN_FILTER"
	UnusedMacro            Code = "LOAD_UNUSED_MACRO"
	UnusedList             Code = "LOAD_UNUSED_LIST"
	UnknownItem            Code = "LOAD_UNKNOWN_ITEM"
	UnknownKey             Code = "LOAD_UNKNOWN_KEY"
	DeprecatedItem         Code = "LOAD_DEPRECATED_ITEM"
	AppendNoValues         Code = "LOAD_APPEND_NO_VALUES"
	ExceptionNameNotUnique Code = "LOAD_EXCEPTION_NAME_NOT_UNIQUE"
	InvalidMacroName       Code = "LOAD_INVALID_MACRO_NAME"
	InvalidListName        Code = "LOAD_INVALID_LIST_NAME"
	CompileCondition       Code = "LOAD_COMPILE_CONDITION"
)

// Remark is the code of what Falco itself does not say.
const Remark Code = "remark"

// IsError tells whether the code is one of an error.
func (c Code) IsError() bool { return strings.HasPrefix(string(c), "LOAD_ERR_") }

// Problem is an error or a warning about something in a rules file.
type Problem struct {
	Code    Code       `json:"code"`
	Item    string     `json:"item,omitempty"` // rule "Write below etc", macro "open_write", …
	Pos     filter.Pos `json:"pos"`
	Msg     string     `json:"message"`
	Hint    string     `json:"hint,omitempty"`    // what to do about it
	Snippet string     `json:"snippet,omitempty"` // the line at Pos, with a mark under the column

	macro string // that was not there
	of    *rule  // that it keeps from being compiled, and the file that was at hand
	file  string
}

// String is one line: file:line:column: CODE: item: message.
func (p *Problem) String() string {
	var b strings.Builder
	if at := p.Pos.String(); at != "" {
		b.WriteString(at + ": ")
	}
	b.WriteString(string(p.Code) + ": ")
	if p.Item != "" {
		b.WriteString(p.Item + ": ")
	}
	if p.Pos.In != "" && p.Pos.In != p.Item {
		b.WriteString("in " + p.Pos.In + ": ")
	}
	b.WriteString(p.Msg)
	return b.String()
}

// Short is the problem and what to do, in one line, without the code of a remark.
func (p *Problem) Short() string {
	s := strings.Replace(p.String(), string(Remark)+": ", "", 1)
	if p.Hint != "" {
		s += "; " + p.Hint
	}
	return s
}

// Long is the problem with the line it is about and what to do.
func (p *Problem) Long() string {
	s := p.String()
	if p.Snippet != "" {
		s += "\n    " + strings.ReplaceAll(p.Snippet, "\n", "\n    ")
	}
	if p.Hint != "" {
		s += "\n    hint: " + p.Hint
	}
	return s
}

// Error says that rules could not be loaded. It holds all errors that were
// found, in the order of the files, and what was warned of until then, which
// often tells why.
type Error struct {
	Problems          []*Problem
	Warnings, Remarks []*Problem
}

func (e *Error) Error() string {
	switch len(e.Problems) {
	case 0:
		return "loading rules"
	case 1:
		return "loading rules: " + e.Problems[0].String()
	}
	return fmt.Sprintf("loading rules: %s (and %d more errors)", e.Problems[0], len(e.Problems)-1)
}

// Format prints all problems, with their lines and hints, for %+v: the errors,
// then the warnings.
func (e *Error) Format(f fmt.State, verb rune) {
	if verb != 'v' || !f.Flag('+') {
		fmt.Fprint(f, e.Error())
		return
	}
	for i, p := range slices.Concat(e.Problems, e.Warnings, e.Remarks) {
		switch i {
		case 0:
		case len(e.Problems):
			fmt.Fprint(f, "\n\nThe files also gave warnings:\n")
		default:
			fmt.Fprintln(f)
		}
		fmt.Fprint(f, p.Long())
	}
}

// snippetWidth is how much of a line a snippet shows.
const snippetWidth = 160

// snippet is the line at pos with a mark under the column. Long lines are cut
// around it.
func snippet(line string, column int) string {
	line = strings.TrimRight(line, "\r\n")
	at := min(max(column-1, 0), len(line))
	start := 0
	if at > snippetWidth/2 {
		start = at - snippetWidth/2
	}
	end := min(len(line), start+snippetWidth)
	shown := strings.ToValidUTF8(line[start:end], "?")
	pad := strings.Map(func(r rune) rune {
		if r == '\t' {
			return '\t'
		}
		return ' '
	}, strings.ToValidUTF8(line[start:at], "?"))
	if start > 0 {
		shown, pad = "…"+shown, " "+pad
	}
	if end < len(line) {
		shown += "…"
	}
	return shown + "\n" + pad + "^"
}
