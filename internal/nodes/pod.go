// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/falcotest/go-falcotest/internal/nodes/manifest"
)

// statuses are those of the container in whose log the lines are, of which there is one or none: others may have
// been put beside it.
func statuses(pod *corev1.Pod) []corev1.ContainerStatus {
	if pod == nil {
		return nil
	}
	for i, c := range pod.Status.ContainerStatuses {
		if c.Name == manifest.Container {
			return pod.Status.ContainerStatuses[i : i+1]
		}
	}
	return nil
}

// hasRun tells whether the container of a pod runs or has run.
func hasRun(pod *corev1.Pod) bool {
	for _, c := range statuses(pod) {
		if c.State.Running != nil || c.State.Terminated != nil && !c.State.Terminated.StartedAt.IsZero() {
			return true
		}
	}
	return false
}

// terminated is how the container of a pod ended, nil if it has not.
func terminated(pod *corev1.Pod) *corev1.ContainerStateTerminated {
	for _, c := range statuses(pod) {
		if c.State.Terminated != nil {
			return c.State.Terminated
		}
	}
	return nil
}

// waiting says what a pod waits for.
func waiting(pod *corev1.Pod) string {
	if pod == nil {
		return ""
	}
	for _, c := range statuses(pod) {
		if w := c.State.Waiting; w != nil {
			return reasonAnd(w.Reason, w.Message)
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Status == corev1.ConditionFalse && c.Message != "" {
			return reasonAnd(c.Reason, c.Message)
		}
	}
	return ""
}

// hopeless tells whether a pod waits for what will not come by itself.
func hopeless(pod *corev1.Pod) bool {
	for _, c := range statuses(pod) {
		if w := c.State.Waiting; w != nil {
			switch w.Reason {
			case "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError":
				return true
			}
		}
	}
	return false
}

// podFailed says how a pod failed: evicted, rejected by its node, or by its container.
func podFailed(pod *corev1.Pod) string {
	if pod.Status.Reason != "" || pod.Status.Message != "" {
		return "the node's pod failed: " + reasonAnd(pod.Status.Reason, pod.Status.Message)
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue {
			return "the node's pod was disrupted: " + reasonAnd(c.Reason, c.Message)
		}
	}
	if pod.DeletionTimestamp != nil {
		return podDeleted(pod)
	}
	if t := terminated(pod); t != nil {
		return "the node's pod ended before it was done: " + ending(t)
	}
	return "the node's pod failed"
}

func podDeleted(pod *corev1.Pod) string {
	return "the node's pod was deleted before it was done: " + deleted(pod)
}

func ending(t *corev1.ContainerStateTerminated) string {
	text := fmt.Sprintf("exit code %d", t.ExitCode)
	if t.Signal != 0 {
		text = fmt.Sprintf("signal %d", t.Signal)
	}
	if t.Reason != "" && t.Reason != "Error" && t.Reason != "Completed" {
		text += ", " + t.Reason
	}
	if t.Message != "" {
		text += ": " + oneLine(t.Message)
	}
	return text
}

// itsPods tells whether a Job failed for nothing but its pod, which tells more.
func itsPods(c *batchv1.JobCondition) bool { return c.Reason == batchv1.JobReasonBackoffLimitExceeded }

func condition(c *batchv1.JobCondition) string { return reasonAnd(c.Reason, c.Message) }

func reasonAnd(reason, message string) string {
	switch {
	case message == "":
		return reason
	case reason == "":
		return oneLine(message)
	}
	return reason + ": " + oneLine(message)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
