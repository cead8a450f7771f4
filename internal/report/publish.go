// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/falcotest/go-falcotest/internal/filelock"
)

// Publish writes the reports that are asked for, GitHub's annotations and its job
// summary.
func Publish(files []string, rep *Report) error {
	relocate(rep)
	var errs []error
	if os.Getenv("GITHUB_ACTIONS") == "true" {
		errs = append(errs, rep.Annotations(os.Stdout))
		if file := os.Getenv("GITHUB_STEP_SUMMARY"); file != "" {
			errs = append(errs, appendSummary(file, rep))
		}
	}
	if len(files) > 0 {
		errs = append(errs, publishTogether(files, rep))
	}
	return errors.Join(errs...)
}

// appendSummary adds the report to a job's summary, in one write.
func appendSummary(file string, rep *Report) error {
	var b bytes.Buffer
	if err := rep.Markdown(&b); err != nil {
		return err
	}
	b.WriteString("\n")
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b.Bytes())
	return errors.Join(err, f.Close())
}

// publishTogether writes the reports of all packages that this go test has run so
// far, this one included.
func publishTogether(files []string, rep *Report) (err error) {
	dir := files[0] + ".parts"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := filelock.Wait(ctx, lock); err != nil {
		return fmt.Errorf("waiting for another package to write its report: %w", err)
	}
	doc, err := Parts{Dir: dir, Run: goTest()}.Add(rep)
	if err != nil {
		return err
	}
	return doc.Write(files...)
}

// goTest tells one run of go test from another: it is the process that started
// this one, which starts the test binaries of all its packages.
func goTest() string { return strconv.Itoa(os.Getppid()) }

// relocate makes the paths in a report those below the root of the checkout, by
// which CI systems find files.
func relocate(rep *Report) {
	root := checkout()
	in := func(file *string) { *file = below(root, *file) }
	for i := range rep.Rows {
		in(&rep.Rows[i].File)
		if c := rep.Rows[i].Clause; c != nil {
			in(&c.File)
		}
	}
	for i := range rep.Verdicts {
		r := &rep.Verdicts[i]
		in(&r.File)
		for k := range r.Clauses {
			in(&r.Clauses[k].File)
		}
		if r.Mutants != nil {
			for k := range r.Mutants.Survivors {
				in(&r.Mutants.Survivors[k].File)
			}
		}
	}
	for i := range rep.Findings {
		in(&rep.Findings[i].File)
	}
	for i := range rep.Changes {
		in(&rep.Changes[i].File)
	}
	for i := range rep.Problems {
		in(&rep.Problems[i].File)
	}
}

// checkout is the root of the repository that is checked: what the CI system says,
// or the nearest folder above with a .git.
func checkout() string {
	for _, name := range []string{"GITHUB_WORKSPACE", "CI_PROJECT_DIR"} {
		if dir := os.Getenv(name); dir != "" {
			return dir
		}
	}
	wd, err := os.Getwd()
	if err != nil {
		return ""
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, ".git")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return wd
		}
	}
}

// below is a file's path below a folder, or as it was for one that is elsewhere.
func below(root, file string) string {
	abs, err := filepath.Abs(file)
	if file == "" || root == "" || err != nil {
		return file
	}
	rel, err := filepath.Rel(root, abs)
	if err != nil || !filepath.IsLocal(rel) {
		return file
	}
	return filepath.ToSlash(rel)
}
