// SPDX-License-Identifier: Apache-2.0

package audit

import "github.com/falcotest/go-falcotest/internal/filter"

// argument says what may stand in a field's brackets.
type argument uint8

const (
	noArgument    argument = iota
	keyArgument            // a key, required
	indexArgument          // an index, optional
)

// An index is the argument of a field with indexArgument.
type index struct {
	n   uint64
	set bool
}

// A fieldDef is one field of the source.
type fieldDef struct {
	name string
	typ  filter.Type
	list bool
	arg  argument
	// get makes the field's getter for an argument.
	get    func(key string, i index) getter
	format func(ev any, v *filter.Value) string
}

// A getter reads a field.
type getter func(e *Event, v *filter.Value) bool

// fieldDefs are the fields of the source, in the order of `falco
// --list=k8s_audit` of Falco 0.43.1.
var fieldDefs = concat(eventFields, auditFields,
	containerFields("containers"), containerFields("initContainers"), containerFields("ephemeralContainers"),
	jsonFields)

func concat(tables ...[]fieldDef) []fieldDef {
	var all []fieldDef
	for _, t := range tables {
		all = append(all, t...)
	}
	return all
}

// text is a field with the text of one value of the event.
func text(name string, path ...string) fieldDef {
	return fieldDef{name: name, typ: filter.CharBuf, get: func(string, index) getter {
		return func(e *Event, v *filter.Value) bool {
			return e.setText(v, e.tree.get(0, path...))
		}
	}}
}

// texts is a list field with the elements of one array of the event.
func texts(name string, path ...string) fieldDef {
	return fieldDef{name: name, typ: filter.CharBuf, list: true, get: func(string, index) getter {
		return func(e *Event, v *filter.Value) bool {
			n := e.tree.get(0, path...)
			if e.tree.kind(n) != array {
				return false
			}
			for c := e.tree.nodes[n].child; c != 0; c = e.tree.nodes[c].next {
				add(v, e.tree.string(c))
			}
			return nonEmpty(v)
		}
	}}
}

// computed is a field with a getter of its own.
func computed(name string, get getter) fieldDef {
	return fieldDef{name: name, typ: filter.CharBuf, get: func(string, index) getter { return get }}
}

// computedList is a list field with a getter of its own.
func computedList(name string, get getter) fieldDef {
	f := computed(name, get)
	f.list = true
	return f
}

// indexed is a list field with an optional index.
func indexed(name string, get func(i index) getter) fieldDef {
	return fieldDef{name: name, typ: filter.CharBuf, list: true, arg: indexArgument,
		get: func(_ string, i index) getter { return get(i) }}
}

// keyed is a field with a required key.
func keyed(name string, get func(key string) getter) fieldDef {
	return fieldDef{name: name, typ: filter.CharBuf, arg: keyArgument,
		get: func(key string, _ index) getter { return get(key) }}
}

var auditFields = []fieldDef{
	text("ka.auditid", "auditID"),
	text("ka.stage", "stage"),
	text("ka.auth.decision", "annotations", "authorization.k8s.io/decision"),
	text("ka.auth.reason", "annotations", "authorization.k8s.io/reason"),
	text("ka.auth.openshift.decision", "annotations", "authentication.openshift.io/decision"),
	text("ka.validations.admission.policy.failure", "annotations", "validation.policy.admission.k8s.io/validation_failure"),
	text("ka.security.pod.violations", "annotations", "pod-security.kubernetes.io/audit-violations"),
	text("ka.auth.openshift.username", "annotations", "authentication.openshift.io/username"),
	text("ka.user.name", "user", "username"),
	texts("ka.user.groups", "user", "groups"),
	text("ka.impuser.name", "impersonatedUser", "username"),
	text("ka.verb", "verb"),
	text("ka.uri", "requestURI"),
	keyed("ka.uri.param", uriParam),
	text("ka.target.name", "objectRef", "name"),
	text("ka.target.namespace", "objectRef", "namespace"),
	text("ka.target.resource", "objectRef", "resource"),
	text("ka.target.subresource", "objectRef", "subresource"),
	computed("ka.target.pod.name", targetPodName),
	texts("ka.req.binding.subjects", "requestObject", "subjects"),
	computedList("ka.req.binding.subjects.user_names", subjectNames("User", false)),
	computedList("ka.req.binding.subjects.serviceaccount_names", subjectNames("ServiceAccount", false)),
	computedList("ka.req.binding.subjects.serviceaccount_ns_names", subjectNames("ServiceAccount", true)),
	computedList("ka.req.binding.subjects.group_names", subjectNames("Group", false)),
	text("ka.req.binding.role", "requestObject", "roleRef", "name"),
	// Documented as always "N/A"; the plugin answers "true".
	keyed("ka.req.binding.subject.has_name", func(string) getter {
		return func(_ *Event, v *filter.Value) bool { v.Str = "true"; return true }
	}),
	text("ka.req.configmap.name", "objectRef", "name"),
	text("ka.req.configmap.obj", "requestObject", "data"),
	computed("ka.req.container.image", first(containerImages("containers", index{0, true}))),
	computed("ka.req.container.image.repository", first(containerRepositories("containers", index{0, true}))),
	text("ka.req.pod.host_ipc", "requestObject", "spec", "hostIPC"),
	text("ka.req.pod.host_network", "requestObject", "spec", "hostNetwork"),
	text("ka.req.container.host_network", "requestObject", "spec", "hostNetwork"),
	text("ka.req.pod.host_pid", "requestObject", "spec", "hostPID"),
	computed("ka.req.container.privileged", anyContainerPrivileged),
	text("ka.req.pod.run_as_user", "requestObject", "spec", "securityContext", "runAsUser"),
	text("ka.req.pod.run_as_group", "requestObject", "spec", "securityContext", "runAsGroup"),
	texts("ka.req.role.rules", "requestObject", "rules"),
	indexed("ka.req.role.rules.apiGroups", ruleValues("apiGroups")),
	indexed("ka.req.role.rules.nonResourceURLs", ruleValues("nonResourceURLs")),
	indexed("ka.req.role.rules.verbs", ruleValues("verbs")),
	indexed("ka.req.role.rules.resources", ruleValues("resources")),
	text("ka.req.pod.fs_group", "requestObject", "spec", "securityContext", "fsGroup"),
	texts("ka.req.pod.supplemental_groups", "requestObject", "spec", "securityContext", "supplementalGroups"),
	text("ka.req.service.type", "requestObject", "spec", "type"),
	indexed("ka.req.service.ports", values("requestObject", "spec", "ports")),
	indexed("ka.req.pod.volumes.hostpath", values("requestObject", "spec", "volumes", "hostPath", "path")),
	keyed("ka.req.volume.hostpath", volumeHostPath),
	indexed("ka.req.pod.volumes.flexvolume_driver", values("requestObject", "spec", "volumes", "flexVolume", "driver")),
	indexed("ka.req.pod.volumes.volume_type", volumeTypes),
	text("ka.resp.name", "responseObject", "metadata", "name"),
	text("ka.response.code", "responseStatus", "code"),
	text("ka.response.reason", "responseStatus", "reason"),
	text("ka.useragent", "userAgent"),
	// The plugin looks for sourceIPs among the rules of a role, so that the
	// field practically never has a value.
	indexed("ka.sourceips", ruleValues("sourceIPs")),
	text("ka.cluster.name", "annotations", "cluster_name"),
}

// containerFields are the fields of one of a pod's lists of containers.
func containerFields(list string) []fieldDef {
	security := func(path ...string) func(index) getter {
		return values(append([]string{"requestObject", "spec", list, "securityContext"}, path...)...)
	}
	in := func(get func(list string, i index) getter) func(index) getter {
		return func(i index) getter { return get(list, i) }
	}
	prefix := "ka.req.pod." + list + "."
	fields := []fieldDef{
		indexed(prefix+"args", in(containerWords("args"))),
		indexed(prefix+"command", in(containerWords("command"))),
		indexed(prefix+"name", in(containerNames)),
		indexed(prefix+"image", in(containerImages)),
		indexed(prefix+"image.repository", in(containerRepositories)),
		indexed(prefix+"privileged", security("privileged")),
		indexed(prefix+"allow_privilege_escalation", security("allowPrivilegeEscalation")),
		indexed(prefix+"read_only_fs", security("readOnlyRootFilesystem")),
		indexed(prefix+"run_as_user", security("runAsUser")),
		indexed(prefix+"eff_run_as_user", in(effective("runAsUser"))),
		indexed(prefix+"run_as_group", security("runAsGroup")),
		indexed(prefix+"eff_run_as_group", in(effective("runAsGroup"))),
		indexed(prefix+"proc_mount", security("procMount")),
		indexed(prefix+"add_capabilities", security("capabilities", "add")),
	}
	// Ephemeral containers have no ports.
	if list != "ephemeralContainers" {
		fields = append(fields, indexed(prefix+"host_port", in(containerHostPorts)))
	}
	return fields
}

// jsonFields are the fields of the json plugin.
var jsonFields = []fieldDef{
	keyed("json.value", pointer),
	computed("json.obj", indented),
	computed("json.rawtime", rawTime),
	keyed("jevt.value", pointer),
	computed("jevt.obj", indented),
	computed("jevt.rawtime", rawTime),
}
