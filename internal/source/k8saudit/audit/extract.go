// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"

	"github.com/falcotest/go-falcotest/internal/filter"
)

// The getters here do what the extraction of Falco's k8saudit plugin does, in
// plugins/k8saudit/pkg/k8saudit/extract.go of its version 0.18.0, and of the
// json plugin in plugins/json/pkg/json/json.go of its version 0.7.4. Where
// those differ from what one would expect, a comment says so.

// setText sets v to a node's text, if there is a node.
func (e *Event) setText(v *filter.Value, n int32) bool {
	if n < 0 {
		return false
	}
	v.Str = e.tree.string(n)
	return true
}

// add adds a value to a list, in memory that the caller of the getter owns.
func add(v *filter.Value, s string) {
	v.List = append(v.List, filter.Value{Str: s})
}

// nonEmpty tells whether a list has a value. A list field without any has none.
func nonEmpty(v *filter.Value) bool { return len(v.List) > 0 }

// walk calls f for each value that a path leads to, and for each that it does
// not lead to, with -1. At an array it goes on with all elements, or with the
// one of the index. It tells whether there is any value to speak of: whether
// the path up to the first array exists.
func (e *Event) walk(n int32, i index, path []string, f func(n int32)) bool {
	t := e.tree
	for at, key := range path {
		if t.kind(n) == array {
			if i.set {
				if n = t.element(n, i.n); n < 0 {
					return false
				}
			} else {
				for c := t.nodes[n].child; c != 0; c = t.nodes[c].next {
					if !e.walk(c, i, path[at:], f) {
						f(-1)
					}
				}
				return true
			}
		}
		if key != "" { // an empty one only enters arrays
			n = t.step(n, key)
		}
		if n < 0 {
			return false
		}
	}
	f(n)
	return true
}

// values is a list of the values that a path leads to, less those that are
// absent. An array at the end of the path counts as one value, in JSON.
func values(path ...string) func(i index) getter {
	return func(i index) getter {
		return func(e *Event, v *filter.Value) bool {
			e.walk(0, i, path, func(n int32) {
				if n >= 0 {
					add(v, e.tree.string(n))
				}
			})
			return nonEmpty(v)
		}
	}
}

// ruleValues is a list of what all rules of a role have in one of their lists.
func ruleValues(member string) func(i index) getter {
	path := []string{"requestObject", "rules", member}
	return func(i index) getter {
		return func(e *Event, v *filter.Value) bool {
			e.walk(0, i, path, func(n int32) {
				if e.tree.kind(n) == array {
					for c := e.tree.nodes[n].child; c != 0; c = e.tree.nodes[c].next {
						add(v, e.tree.string(c))
					}
				}
			})
			return nonEmpty(v)
		}
	}
}

// first is the first value of a list.
func first(get getter) getter {
	return func(e *Event, v *filter.Value) bool {
		if !get(e, v) {
			return false
		}
		v.Str, v.List = v.List[0].Str, v.List[:0]
		return true
	}
}

func uriParam(key string) getter {
	return func(e *Event, v *filter.Value) bool {
		n := e.tree.get(0, "requestURI")
		if n < 0 {
			return false
		}
		u, err := url.Parse(e.tree.string(n))
		if err != nil {
			return false
		}
		q, err := url.ParseQuery(u.RawQuery)
		if err != nil || len(q[key]) == 0 {
			return false
		}
		v.Str = q[key][0]
		return true
	}
}

func targetPodName(e *Event, v *filter.Value) bool {
	t := e.tree
	resource, sub := t.get(0, "objectRef", "resource"), t.get(0, "objectRef", "subresource")
	if t.kind(resource) != str || t.string(resource) != "pods" || t.kind(sub) == str && t.string(sub) != "" {
		return false
	}
	return e.setText(v, t.get(0, "responseObject", "metadata", "name"))
}

func subjectNames(kind string, namespaced bool) getter {
	return func(e *Event, v *filter.Value) bool {
		t := e.tree
		subjects := t.get(0, "requestObject", "subjects")
		if t.kind(subjects) != array {
			return false
		}
		for s := t.nodes[subjects].child; s != 0; s = t.nodes[s].next {
			k, name, ns := t.get(s, "kind"), t.get(s, "name"), t.get(s, "namespace")
			if k < 0 || name < 0 || t.string(k) != kind {
				continue
			}
			switch {
			case !namespaced:
				add(v, t.string(name))
			case ns >= 0:
				add(v, t.string(ns)+":"+t.string(name))
			}
		}
		return nonEmpty(v)
	}
}

func anyContainerPrivileged(e *Event, v *filter.Value) bool {
	v.Str = "false"
	return e.walk(0, index{}, []string{"requestObject", "spec", "containers", "securityContext", "privileged"}, func(n int32) {
		if e.tree.kind(n) == boolean && e.tree.string(n) == "true" {
			v.Str = "true"
		}
	})
}

// containerStrings lists a member of each container. One container without it
// leaves the field without a value.
func containerStrings(list, member string, i index, change func(string) string) getter {
	path := []string{"requestObject", "spec", list, member}
	return func(e *Event, v *filter.Value) bool {
		all := true
		found := e.walk(0, i, path, func(n int32) {
			if n < 0 {
				all = false
				return
			}
			add(v, change(e.tree.string(n)))
		})
		return found && all && nonEmpty(v)
	}
}

func same(s string) string { return s }

func containerNames(list string, i index) getter  { return containerStrings(list, "name", i, same) }
func containerImages(list string, i index) getter { return containerStrings(list, "image", i, same) }

// containerRepositories cuts images at the first colon, also at that of a
// registry's port: "localhost:5000/x:1" gives "localhost".
func containerRepositories(list string, i index) getter {
	return containerStrings(list, "image", i, func(image string) string {
		image, _, _ = strings.Cut(image, ":")
		image, _, _ = strings.Cut(image, "@")
		return image
	})
}

// containerWords lists the command or the arguments of each container that
// has any, joined by spaces.
func containerWords(member string) func(list string, i index) getter {
	return func(list string, i index) getter {
		path := []string{"requestObject", "spec", list, member}
		return func(e *Event, v *filter.Value) bool {
			t, right := e.tree, true
			e.walk(0, i, path, func(n int32) {
				if n < 0 {
					return
				}
				if t.kind(n) != array {
					right = false
					return
				}
				first := t.nodes[n].child
				var words strings.Builder
				for c := first; c != 0; c = t.nodes[c].next {
					if t.kind(c) != str {
						right = false
						return
					}
					if c != first {
						words.WriteByte(' ')
					}
					words.WriteString(t.string(c))
				}
				add(v, words.String())
			})
			return right && nonEmpty(v)
		}
	}
}

// containerHostPorts lists the host ports, and the container port where there
// is no host port: the two are the same in a pod on the host's network.
func containerHostPorts(list string, i index) getter {
	path := []string{"requestObject", "spec", list, "ports"}
	return func(e *Event, v *filter.Value) bool {
		t, right := e.tree, true
		e.walk(0, i, path, func(n int32) {
			if n < 0 {
				return
			}
			if t.kind(n) != array {
				right = false
				return
			}
			for c := t.nodes[n].child; c != 0; c = t.nodes[c].next {
				port := t.get(c, "hostPort")
				if port < 0 {
					port = t.get(c, "containerPort")
				}
				if port >= 0 {
					add(v, t.string(port))
				}
			}
		})
		return right && nonEmpty(v)
	}
}

// effective lists a member of each container, with the pod's where the
// container has none, and 0 where neither has. The plugin looks for the member
// in the specs themselves, where it does not belong, rather than in their
// security contexts, so that the value is practically always 0.
func effective(member string) func(list string, i index) getter {
	return func(list string, i index) getter {
		path := []string{"requestObject", "spec", list, member}
		return func(e *Event, v *filter.Value) bool {
			ofPod := "0"
			if n := e.tree.get(0, "requestObject", "spec", member); n >= 0 {
				ofPod = e.tree.string(n)
			}
			found := e.walk(0, i, path, func(n int32) {
				if n < 0 {
					add(v, ofPod)
					return
				}
				add(v, e.tree.string(n))
			})
			return found && nonEmpty(v)
		}
	}
}

// volumeHostPath tells whether the first volume has a host path equal to the
// key, or starting with it if the key ends with a star. The plugin takes the
// key's index, which is 0, for that of the volume.
func volumeHostPath(key string) getter {
	path := []string{"requestObject", "spec", "volumes", "hostPath", "path"}
	prefix, isPrefix := strings.CutSuffix(key, "*")
	return func(e *Event, v *filter.Value) bool {
		v.Str = "false"
		return e.walk(0, index{0, true}, path, func(n int32) {
			if n < 0 {
				return
			}
			if s := e.tree.string(n); s == key || isPrefix && strings.HasPrefix(s, prefix) {
				v.Str = "true"
			}
		})
	}
}

// volumeTypes lists the members of all volumes but their names.
func volumeTypes(i index) getter {
	path := []string{"requestObject", "spec", "volumes", ""}
	return func(e *Event, v *filter.Value) bool {
		t := e.tree
		e.walk(0, i, path, func(n int32) {
			if t.kind(n) != object {
				return
			}
			for c := t.nodes[n].child; c != 0; c = t.nodes[c].next {
				if t.nodes[c].key != "name" {
					add(v, t.nodes[c].key)
				}
			}
		})
		return nonEmpty(v)
	}
}

var pointerEscapes = [2]*strings.Replacer{strings.NewReplacer("~1", "/"), strings.NewReplacer("~0", "~")}

// pointer reads the value that a JSON pointer leads to. The slash at its start
// may be left out; an empty pointer is the whole event.
func pointer(key string) getter {
	if key == "" {
		return func(e *Event, v *filter.Value) bool { return e.setText(v, 0) }
	}
	path := strings.Split(strings.TrimPrefix(key, "/"), "/")
	for i := range path {
		for _, r := range pointerEscapes {
			path[i] = r.Replace(path[i])
		}
	}
	return func(e *Event, v *filter.Value) bool { return e.setText(v, e.tree.get(0, path...)) }
}

func indented(e *Event, v *filter.Value) bool {
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(e.tree.text), "", "  "); err != nil {
		return false
	}
	v.Str = b.String()
	return true
}

func rawTime(e *Event, v *filter.Value) bool {
	v.Str = strconv.FormatInt(e.Time.UnixNano(), 10)
	return true
}
