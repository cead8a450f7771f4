// SPDX-License-Identifier: Apache-2.0

package falco

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/falcotest/go-falcotest/internal/source"
)

// Plugin is one that the Falco loads.
type Plugin struct {
	Name       string
	Library    string // the path of its shared object
	OpenParams string // for one that is a source of events
}

// ParsePlugin reads a plugin as NAME=LIBRARY, or NAME=LIBRARY,OPENPARAMS, or
// the path of a library libNAME.so alone.
func ParsePlugin(s string) (Plugin, error) {
	var p Plugin
	s, p.OpenParams, _ = strings.Cut(s, ",")
	name, library, ok := strings.Cut(s, "=")
	if !ok {
		library = s
		name = strings.TrimSuffix(strings.TrimPrefix(filepath.Base(s), "lib"), ".so")
	}
	p.Name, p.Library = name, library
	if p.Name == "" || !filepath.IsAbs(p.Library) {
		return p, fmt.Errorf("the plugin %q: want NAME=/path/to/libNAME.so[,OPENPARAMS]", s)
	}
	return p, nil
}

// DefaultPlugins is the container plugin, if it is installed with that Falco:
// Falco's packages put it in place and enable it, and the fields container.*
// and k8s.* of most rules need it since 0.41. Other plugins are not guessed.
func DefaultPlugins(falco string) []Plugin {
	if library := installed(falco, "container"); library != "" {
		return []Plugin{{Name: "container", Library: library}}
	}
	return nil
}

// containerConfig tells the container plugin of the engines that the environment
// names, where the actions' containers are made; it knows the usual sockets, and
// nil is its default. What it must have is in src/plugin_config_schema.h of the
// plugin container 0.6, and its usual sockets in src/plugin_config.cpp.
func containerConfig() map[string]any {
	type m = map[string]any
	const docker, podman = "/var/run/docker.sock", "/run/podman/podman.sock"
	engine := func(sockets ...string) m { return m{"enabled": true, "sockets": sockets} }
	engines := m{
		"docker": engine(docker), "podman": engine(podman),
		"cri":        engine("/run/containerd/containerd.sock", "/run/crio/crio.sock", "/run/k3s/containerd/containerd.sock"),
		"containerd": engine("/run/host-containerd/containerd.sock"),
		"lxc":        m{"enabled": true}, "libvirt_lxc": m{"enabled": true}, "bpm": m{"enabled": true},
	}
	named := false
	for _, e := range []struct{ name, variable, usual string }{
		{"docker", "DOCKER_HOST", docker},
		{"podman", "CONTAINER_HOST", podman},
	} {
		if socket, ok := strings.CutPrefix(os.Getenv(e.variable), "unix://"); ok && socket != e.usual {
			engines[e.name] = engine(e.usual, socket)
			named = true
		}
	}
	if !named {
		return nil
	}
	return m{"engines": engines}
}

// installed is the library of a plugin that is installed with that Falco, or "".
func installed(falco, plugin string) string {
	for _, dir := range []string{filepath.Join(filepath.Dir(falco), "..", "share", "falco", "plugins"), "/usr/share/falco/plugins"} {
		library := filepath.Join(dir, "lib"+plugin+".so")
		if _, err := os.Stat(library); err == nil {
			return library
		}
	}
	return ""
}

// WithPlugins adds to plugins those that rules for a source need, if they are
// installed with that Falco and none for the source is there yet. The Falco is found
// in PATH if empty.
func WithPlugins(falco string, src *source.Source, plugins []Plugin) ([]Plugin, error) {
	falco, err := exec.LookPath(cmp.Or(falco, "falco"))
	if err != nil {
		return nil, err
	}
	has := func(name string) bool {
		return slices.ContainsFunc(plugins, func(p Plugin) bool { return p.Name == name })
	}
	if library := installed(falco, src.Plugin.Name); pluginOf(src, plugins) == nil && library != "" {
		params, err := src.Plugin.Open()
		if err != nil {
			return nil, err
		}
		plugins = append(plugins, Plugin{Name: src.Plugin.Name, Library: library, OpenParams: params})
	}
	if pluginOf(src, plugins) == nil {
		return plugins, nil
	}
	for _, name := range src.Plugin.Beside {
		if library := installed(falco, name); library != "" && !has(name) {
			plugins = append(plugins, Plugin{Name: name, Library: library})
		}
	}
	return plugins, nil
}

// config is the configuration for testing. What is installed in /etc/falco has
// no part in it, so that a run depends on the tests alone.
type config struct {
	options Options
	plugins []Plugin
	socket  string // gRPC
	url     string // HTTP
	replay  bool   // alerts go to the standard output, with the numbers of their events
}

// appended is what each alert prints beside what its rule says.
func (c config) appended() []any {
	type m = map[string]any
	var list []any
	for _, src := range source.All() {
		if src.Plugin != nil && pluginOf(src, c.plugins) == nil {
			continue
		}
		fields := slices.Clone(src.Correlation)
		for _, p := range c.plugins {
			fields = append(fields, src.PluginFields[p.Name]...)
		}
		fields = append(fields, c.options.Fields[src.Name]...)
		if c.replay && src.Plugin == nil {
			fields = append(fields, NumberField)
		}
		list = append(list, m{"match": m{"source": src.Name}, "extra_fields": fields})
	}
	return list
}

// pluginOf is the one that has the events of a source, or nil.
func pluginOf(src *source.Source, plugins []Plugin) *Plugin {
	if src.Plugin == nil {
		return nil
	}
	i := slices.IndexFunc(plugins, func(p Plugin) bool { return strings.HasPrefix(p.Name, src.Plugin.Name) })
	if i < 0 {
		return nil
	}
	return &plugins[i]
}

// Address is the URL where the plugin of a source takes events, or "" if none does.
func Address(src *source.Source, plugins []Plugin) string {
	if p := pluginOf(src, plugins); p != nil {
		return src.Plugin.Address(p.OpenParams)
	}
	return ""
}

// yaml writes the configuration, as JSON, which is YAML.
func (c config) yaml() []byte {
	type m = map[string]any
	off := m{"enabled": false}
	conf := m{
		"config_files":       []string{},
		"rules_files":        []string{},
		"watch_config_files": false,
		"engine":             m{"kind": c.options.Engine},

		// Every rule that matches alerts, however low its priority.
		"rule_matching": "all",
		"priority":      "debug",

		"json_output":                         true,
		"json_include_output_property":        true,
		"json_include_tags_property":          true,
		"json_include_output_fields_property": true,
		"time_format_iso_8601":                true,
		"buffered_outputs":                    false,
		"outputs_queue":                       m{"capacity": 0}, // unbounded
		"append_output":                       c.appended(),

		"stdout_output": off,
		"syslog_output": off,
		"file_output":   off,
		"webserver":     off,

		"log_stderr": true,
		"log_syslog": false,
		"log_level":  "info",

		// Every lost event is told, at once and each time.
		"syscall_event_drops": m{"threshold": 0, "actions": []string{"log", "alert"}, "rate": 1, "max_burst": 1000},
	}
	if c.socket != "" {
		conf["grpc"] = m{"enabled": true, "bind_address": "unix://" + c.socket, "threadiness": 1}
		conf["grpc_output"] = m{"enabled": true}
	}
	if c.url != "" {
		conf["http_output"] = m{"enabled": true, "url": c.url, "user_agent": "falcosecurity/falco", "keep_alive": true}
	}
	if c.replay {
		conf["stdout_output"] = m{"enabled": true}
		delete(conf, "syscall_event_drops")
	}
	if c.options.EnableAll {
		conf["rules"] = []m{{"enable": m{"rule": "*"}}}
	}
	var names []string
	var plugins []m
	for _, p := range c.plugins {
		names = append(names, p.Name)
		plugin := m{"name": p.Name, "library_path": p.Library}
		if p.OpenParams != "" {
			plugin["open_params"] = p.OpenParams
		}
		if p.Name == "container" {
			if init := containerConfig(); init != nil {
				plugin["init_config"] = init
			}
		}
		plugins = append(plugins, plugin)
	}
	if len(plugins) > 0 {
		conf["plugins"], conf["load_plugins"] = plugins, names
	}
	b, err := json.MarshalIndent(conf, "", "  ")
	if err != nil { // the values above always encode
		panic(err)
	}
	return append(b, '\n')
}
