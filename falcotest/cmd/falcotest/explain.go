// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"

	"github.com/falcotest/go-falcotest/internal/testfile"
)

var explainVerb = verb{"explain", "FILE…", "tell what tests will do, step by step, without doing it", simple(explain)}

// explain tells what the tests of files will do.
func explain(names []string, out io.Writer) error {
	if len(names) == 0 {
		return errors.New("explain needs the name of a file of tests")
	}
	files, err := testfile.Load(names...)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := f.Explain(out); err != nil {
			return err
		}
	}
	return nil
}
