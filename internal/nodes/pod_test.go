// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/falcotest/go-falcotest/internal/nodes/manifest"
)

func TestPodFailed(t *testing.T) {
	deletion := metav1.Now()
	ended := corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
		Name: manifest.Container, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 143}},
	}}}
	disrupted := ended
	disrupted.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "EvictionByEvictionAPI", Message: "evicting"}}
	for _, test := range []struct {
		name string
		pod  corev1.Pod
		want string
	}{
		{"by itself", corev1.Pod{Status: ended}, "the node's pod ended before it was done: exit code 143"},
		{"deleted", corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &deletion}, Status: ended}, "the node's pod was deleted before it was done: the node was drained, or somebody deleted it"},
		{"drained", corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &deletion}, Status: disrupted}, "the node's pod was disrupted: EvictionByEvictionAPI: evicting"},
		{"evicted", corev1.Pod{Status: corev1.PodStatus{Reason: "Evicted", Message: "low on memory"}}, "the node's pod failed: Evicted: low on memory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := podFailed(&test.pod); got != test.want {
				t.Errorf("it says %q, want %q", got, test.want)
			}
		})
	}
}
