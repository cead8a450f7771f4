// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/falcotest/go-falcotest/internal/result"
)

// Benchmark drives one action at a rising rate and reports how the judge keeps
// up, by b.ReportMetric:
//
//	alerts/s   alerts attributed to the action, at the best rate
//	lost-%     runs whose alert did not come, of all rates
//	p50-ms     time from the action's start to its alert's arrival
//	p99-ms
//
// The b.N runs are split into stages: in the first, one action runs at a time,
// in each further one twice as many, up to FALCOTEST_PARALLEL. The action must
// be one whose alerts carry its id; a run that skips or fails its trigger ends
// the benchmark.
func Benchmark(b *testing.B, action string, opts ...Option) {
	b.Helper()
	s := Start(b, append(slices.Clone(opts), WithActions(action))...)
	if len(s.run.Plan.Actions) != 1 {
		b.Fatalf("a benchmark drives one action, and %q selects %d", action, len(s.run.Plan.Actions))
	}
	var stages []int
	for n := 1; n < s.s.Parallel(); n *= 2 {
		stages = append(stages, n)
	}
	stages = append(stages, s.s.Parallel())
	var (
		latencies []time.Duration
		lost      int
		best      float64
	)
	b.ResetTimer()
	for i, workers := range stages {
		runs := b.N / len(stages)
		if i < b.N%len(stages) {
			runs++
		}
		if runs == 0 {
			continue
		}
		start := time.Now()
		detected := 0
		for _, r := range s.drive(runs, workers) {
			switch r.Outcome {
			case result.Detected:
				detected++
				latencies = append(latencies, r.Latency)
			case result.Missed, result.Inconclusive:
				lost++
			default:
				b.Fatal(r.Message(b.Name()))
			}
		}
		best = max(best, float64(detected)/time.Since(start).Seconds())
	}
	b.StopTimer()
	b.ReportMetric(best, "alerts/s")
	b.ReportMetric(100*float64(lost)/float64(b.N), "lost-%")
	if len(latencies) > 0 {
		slices.Sort(latencies)
		b.ReportMetric(quantile(latencies, 0.50), "p50-ms")
		b.ReportMetric(quantile(latencies, 0.99), "p99-ms")
	}
}

// drive runs the session's one action so many times, with so many workers.
func (s *Session) drive(runs, workers int) []*result.Result {
	results := make([]*result.Result, runs)
	next := make(chan int)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range next {
				results[i] = s.s.Do(s.s.Context(), s.run.Plan.Actions[0])
			}
		})
	}
	for i := range runs {
		next <- i
	}
	close(next)
	wg.Wait()
	return results
}

// quantile returns a quantile of sorted durations, in milliseconds.
func quantile(sorted []time.Duration, q float64) float64 {
	i := min(int(q*float64(len(sorted))), len(sorted)-1)
	return float64(sorted[i]) / float64(time.Millisecond)
}
