// SPDX-License-Identifier: Apache-2.0

// Package config holds every setting once: the option of package falcotest that
// sets it, the environment variable that overrides the option, its default,
// what values it takes, and what it is for. The documentation's table is made
// from it.
//
// Settings enter from the environment and leave as values of their types. The
// package imports internal/spelling alone.
package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/internal/spelling"
)

// Setting says what a setting is.
type Setting struct {
	Variable string // of the environment
	Option   string // of package falcotest: a function, or a field of Kubernetes
	Doc      string // what it sets
	Unset    string // its default, in words; "" if that needs none

	check func(text string) error
}

// Var is a setting with values of a type.
type Var[T any] struct {
	Setting
	Default T

	parse func(text string) (T, error)
	valid func(T) error // nil if all values are
}

// Lookup returns what the environment sets; an empty value sets nothing, and
// neither does one that [Check] refuses.
func (v *Var[T]) Lookup() (value T, ok bool) {
	text := os.Getenv(v.Variable)
	if text == "" {
		return value, false
	}
	value, err := v.read(text)
	return value, err == nil
}

// Get returns what the environment sets, or the default.
func (v *Var[T]) Get() T {
	if value, ok := v.Lookup(); ok {
		return value
	}
	return v.Default
}

// Override changes a value to what the environment sets, if it does.
func (v *Var[T]) Override(to *T) {
	if value, ok := v.Lookup(); ok {
		*to = value
	}
}

// Valid returns an error for a value that an option must not set.
func (v *Var[T]) Valid(value T) error {
	if v.valid == nil {
		return nil
	}
	if err := v.valid(value); err != nil {
		return fmt.Errorf("%s(%v): %w", v.Option, value, err)
	}
	return nil
}

func (v *Var[T]) read(text string) (T, error) {
	value, err := v.parse(text)
	if err == nil && v.valid != nil {
		err = v.valid(value)
	}
	return value, err
}

// all are the settings in the order of their definitions.
var all []*Setting

// All returns the settings, in the order in which documentation lists them.
func All() []*Setting { return slices.Clone(all) }

// Check tells of variables in the environment that look like settings and are
// none, and of values that their settings do not take.
func Check() error {
	known := make(map[string]*Setting)
	var names []string
	for _, s := range all {
		known[s.Variable] = s
		names = append(names, s.Variable)
	}
	var errs []error
	for _, kv := range os.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, prefix) || OfProcess(name) {
			continue
		}
		s := known[name]
		switch {
		case s == nil:
			hint := ""
			if near := spelling.Nearest(name, names); near != "" {
				hint = " (did you mean " + near + "?)"
			}
			errs = append(errs, fmt.Errorf("reading the environment: there is no setting %s%s", name, hint))
		case value != "":
			if err := s.check(value); err != nil {
				errs = append(errs, fmt.Errorf("reading the environment: %s=%q: %w", name, value, err))
			}
		}
	}
	return errors.Join(errs...)
}

func define[T any](s Setting, value T, parse func(string) (T, error), valid func(T) error) *Var[T] {
	v := &Var[T]{Setting: s, Default: value, parse: parse, valid: valid}
	v.check = func(text string) error {
		_, err := v.read(text)
		return err
	}
	all = append(all, &v.Setting)
	return v
}

func text(s Setting) *Var[string] {
	return define(s, "", func(text string) (string, error) { return text, nil }, nil)
}

// oneOf is a text that must be one of a few, whatever the case.
func oneOf(s Setting, values ...string) *Var[string] {
	parse := func(text string) (string, error) { return strings.ToLower(text), nil }
	return define(s, "", parse, func(text string) error {
		if text != "" && !slices.Contains(values, strings.ToLower(text)) {
			last := len(values) - 1
			return fmt.Errorf("want %s or %s", strings.Join(values[:last], ", "), values[last])
		}
		return nil
	})
}

// flag is on or off: 1, 0, and what else [strconv.ParseBool] takes.
func flag(s Setting, value bool) *Var[bool] {
	return define(s, value, func(text string) (bool, error) {
		on, err := strconv.ParseBool(text)
		if err != nil {
			err = errors.New("want 1 or 0")
		}
		return on, err
	}, nil)
}

func number(s Setting, value, least int) *Var[int] {
	wrong := fmt.Errorf("want a number from %d", least)
	return define(s, value, func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil {
			err = wrong
		}
		return n, err
	}, func(n int) error {
		if n < least {
			return wrong
		}
		return nil
	})
}

// fraction is a number from 0 to 1.
func fraction(s Setting) *Var[float64] {
	wrong := errors.New("want a number from 0 to 1, such as 0.9")
	return define(s, 0, func(text string) (float64, error) {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			err = wrong
		}
		return f, err
	}, func(f float64) error {
		if !(f >= 0 && f <= 1) {
			return wrong
		}
		return nil
	})
}

func duration(s Setting, value time.Duration) *Var[time.Duration] {
	wrong := errors.New("want a duration such as 20s")
	return define(s, value, func(text string) (time.Duration, error) {
		d, err := time.ParseDuration(text)
		if err != nil {
			err = wrong
		}
		return d, err
	}, func(d time.Duration) error {
		if d <= 0 {
			return wrong
		}
		return nil
	})
}

func list(s Setting, split func(string) []string) *Var[[]string] {
	return define(s, nil, func(text string) ([]string, error) { return split(text), nil }, nil)
}

// The separators of lists: as PATH has it, commas, blanks.
var (
	paths = func(s string) []string { // path/filepath would be initialised late, and so would package stage
		return strings.Split(s, string(os.PathListSeparator))
	}
	commas = func(s string) []string { return strings.Split(s, ",") }
	blanks = strings.Fields
)
