// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"

	"github.com/falcotest/go-falcotest/internal/testfile"
)

var schemaVerb = verb{"schema", "", "print the JSON Schema of test files, for editors", simple(printSchema)}

// printSchema prints the JSON Schema of test files.
func printSchema(_ []string, out io.Writer) error {
	_, err := out.Write(testfile.Schema())
	return err
}
