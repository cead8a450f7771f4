// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"io"
	"strings"

	"github.com/falcotest/go-falcotest/internal/report"
)

var reportVerb = verb{"report", "-o FILE[,FILE…] REPORT.json|FOLDER…", "merge reports, and write them in the formats that the files' names say", simple(mergeReports)}

// mergeReports merges reports in JSON, of several packages, jobs or machines.
func mergeReports(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("report", flag.ContinueOnError)
	flags.SetOutput(out)
	files := flags.String("o", "", "the files to write, separated by commas; \"\" prints the results")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("report: name reports that FALCOTEST_REPORT wrote as .json, or folders of such")
	}
	d, err := report.Merge(flags.Args()...)
	if err != nil {
		return err
	}
	if *files == "" {
		for _, r := range d.Runs {
			if err := r.Text(out); err != nil {
				return err
			}
		}
		return nil
	}
	return d.Write(strings.Split(*files, ",")...)
}
