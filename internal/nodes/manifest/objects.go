// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
)

// The labels of everything that is made. A node's name may be longer than a
// label's value: NodeAnnotation has it whole.
const (
	LabelPartOf    = "app.kubernetes.io/part-of"
	PartOf         = "falcotest"
	LabelRun       = "falcotest.io/run"
	LabelNode      = "falcotest.io/node"
	NodeAnnotation = "falcotest.io/node-name"
	podSecurity    = "pod-security.kubernetes.io/enforce"
)

// Container is the name of the container in a node's pod.
const Container = "falcotest"

// ServiceName is that of the Service which the nodes' Falcos post alerts to.
// Their configuration names it, so that it is the same for all runs: who makes
// it has the Falcos for as long as it is there.
const ServiceName = "falcotest"

// Name is what a run's Lease and ServiceAccount are called.
func (o Options) Name() string { return "falcotest-" + o.Run }

// Labels are those of all that a run makes.
func (o Options) Labels() map[string]string {
	return map[string]string{LabelPartOf: PartOf, LabelRun: o.Run}
}

// NodeLabel is the value of LabelNode for a node: its name, or what stands for
// one that is too long.
func NodeLabel(node string) string {
	if len(validation.IsValidLabelValue(node)) == 0 {
		return node
	}
	return nodeHash(node)
}

func nodeHash(node string) string {
	sum := sha256.Sum256([]byte(node))
	return hex.EncodeToString(sum[:6])
}

// JobName is the name of a node's Job.
func (o Options) JobName(node string) string { return o.Name() + "-" + nodeHash(node) }

// Listens tells whether the pods listen for their node's alerts, so that there
// must be a Service in front of them.
func (o Options) Listens() bool {
	j, err := judgeOf(o.withDefaults().Falco)
	return err == nil && j.port != 0
}

// Level is the level of Pod Security that the pods need of their namespace: a
// folder of the node, where Falco's socket is, may only be mounted under
// privileged, whatever else the pod does.
func (o Options) Level() string {
	o = o.withDefaults()
	if j, err := judgeOf(o.Falco); o.Profile == Privileged || err == nil && j.socket != "" {
		return string(Privileged)
	}
	return string(Baseline)
}

func (o Options) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: o.Namespace, Labels: o.Labels()}
}

// Namespace is the namespace of a run that makes one.
func Namespace(o Options) *corev1.Namespace {
	o = o.withDefaults()
	labels := map[string]string{LabelPartOf: PartOf, podSecurity: o.Level()}
	if o.CreateNamespace {
		labels[LabelRun] = o.Run
	}
	return &corev1.Namespace{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{Name: o.Namespace, Labels: labels},
	}
}

// Lease is what a run renews while it lives; once it is not renewed for the
// duration, another run may sweep up what belongs to it.
func Lease(o Options, holder string, duration time.Duration, now time.Time) *coordinationv1.Lease {
	o = o.withDefaults()
	seconds := int32(duration / time.Second)
	at := metav1.NewMicroTime(now)
	return &coordinationv1.Lease{
		TypeMeta:   metav1.TypeMeta{APIVersion: "coordination.k8s.io/v1", Kind: "Lease"},
		ObjectMeta: o.meta(o.Name()),
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: &holder, LeaseDurationSeconds: &seconds, AcquireTime: &at, RenewTime: &at,
		},
	}
}

// ServiceAccount is whom the pods run as: nobody, for it has no rights and its
// token is not mounted.
func ServiceAccount(o Options) *corev1.ServiceAccount {
	o = o.withDefaults()
	no := false
	return &corev1.ServiceAccount{
		TypeMeta:                     metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta:                   o.meta(o.Name()),
		AutomountServiceAccountToken: &no,
	}
}

// Service is what the Falco of each node posts its alerts to, and which hands
// them to the pod on the same node alone; nil where the pods do not listen.
func Service(o Options) *corev1.Service {
	o = o.withDefaults()
	j, err := judgeOf(o.Falco)
	if err != nil || j.port == 0 {
		return nil
	}
	local := corev1.ServiceInternalTrafficPolicyLocal
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: o.meta(ServiceName),
		Spec: corev1.ServiceSpec{
			Selector:              o.Labels(),
			InternalTrafficPolicy: &local,
			Ports:                 []corev1.ServicePort{{Name: "alerts", Protocol: corev1.ProtocolTCP, Port: j.port, TargetPort: intstr.FromInt32(j.port)}},
		},
	}
}

// Job runs the tests on a node.
func Job(o Options, node string) *batchv1.Job {
	o = o.withDefaults()
	meta := o.meta(o.JobName(node))
	meta.Labels[LabelNode] = NodeLabel(node)
	meta.Annotations = map[string]string{NodeAnnotation: node}
	var (
		once, never int32 = 1, 0
		deadline          = int64(o.Deadline / time.Second)
		keep              = int32(o.Keep / time.Second)
	)
	return &batchv1.Job{
		TypeMeta:   metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		ObjectMeta: meta,
		Spec: batchv1.JobSpec{
			Completions:             &once,
			Parallelism:             &once,
			BackoffLimit:            &never,
			ActiveDeadlineSeconds:   &deadline,
			TTLSecondsAfterFinished: &keep,
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: meta.Labels, Annotations: meta.Annotations},
				Spec:       podSpec(o, node),
			},
		},
	}
}

// Anchor is the Job that owns all else that a run makes in its namespace. It asks for no
// pod, so that it ends by its deadline alone, and goes by its time to live; the garbage
// collector takes what it owns, though nobody is left to do so. Limit bounds the run.
func Anchor(o Options, limit time.Duration) *batchv1.Job {
	o = o.withDefaults()
	var none int32
	deadline, keep := int64(limit/time.Second), int32(o.Keep/time.Second)
	return &batchv1.Job{
		TypeMeta:   metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		ObjectMeta: o.meta(o.Name()),
		Spec: batchv1.JobSpec{
			Parallelism: &none, BackoffLimit: &none, ActiveDeadlineSeconds: &deadline, TTLSecondsAfterFinished: &keep,
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: o.Labels()}, Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever,
				Containers:    []corev1.Container{{Name: Container, Image: o.Image}},
			}},
		},
	}
}

// endsWithin is how long a pod has to undo what its actions changed when it is
// told to end.
const endsWithin = 20 * time.Second

func podSpec(o Options, node string) corev1.PodSpec {
	j, _ := judgeOf(o.Falco) // the judge of no URL needs nothing of the node
	no, grace := false, int64(endsWithin/time.Second)
	c := corev1.Container{
		Name:            Container,
		Image:           o.Image,
		ImagePullPolicy: corev1.PullIfNotPresent,
		Args:            o.Args,
		Env: []corev1.EnvVar{
			{Name: "NODE_NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "spec.nodeName"}}},
			{Name: "FALCOTEST_FALCO", Value: o.Falco},
		},
		// Enough to be scheduled fairly; no limits, which would make actions slow.
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("128Mi"),
		}},
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
	for _, e := range o.Env {
		name, value, _ := strings.Cut(e, "=")
		// Kubernetes expands $(NAME) in values.
		c.Env = append(c.Env, corev1.EnvVar{Name: name, Value: strings.ReplaceAll(value, "$(", "$$(")})
	}
	if o.Profile == Privileged {
		yes := true
		c.SecurityContext = &corev1.SecurityContext{Privileged: &yes}
	}
	spec := corev1.PodSpec{
		RestartPolicy:                 corev1.RestartPolicyNever,
		ServiceAccountName:            o.Name(),
		AutomountServiceAccountToken:  &no,
		EnableServiceLinks:            &no,
		TerminationGracePeriodSeconds: &grace,
		// Pinned by the scheduler, not by nodeName: so the pod waits for room, and
		// what it waits for is told in its events.
		Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{
				{Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node}},
			}}},
		}}},
		Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
	}
	for _, name := range slices.Compact(slices.Clone(o.PullSecrets)) {
		spec.ImagePullSecrets = append(spec.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
	}
	if j.port != 0 {
		c.Ports = []corev1.ContainerPort{{Name: "alerts", ContainerPort: j.port, Protocol: corev1.ProtocolTCP}}
	}
	if j.socket != "" {
		folder := corev1.HostPathDirectory // which must be there: else the pod's events say so
		c.VolumeMounts = []corev1.VolumeMount{{Name: "falco", MountPath: j.socket, ReadOnly: true}}
		spec.Volumes = []corev1.Volume{{Name: "falco", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: j.socket, Type: &folder}}}}
	}
	spec.Containers = []corev1.Container{c}
	return spec
}
