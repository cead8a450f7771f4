// SPDX-License-Identifier: Apache-2.0

package filter

import "strings"

// paths is the right side of pmatch: a tree of path components, in which a path
// matches when it or one of its parents was added. A component with ?, * or [
// is a glob for one component.
type paths struct {
	end   bool // a path that was added ends here
	dirs  map[string]*paths
	globs []pathGlob
}

type pathGlob struct {
	pattern string
	sub     *paths
}

// add adds a path. Slashes at the start, at the end and in a row do not count,
// so that a relative path is the same as an absolute one; so it is in Falco.
func (p *paths) add(path string) {
	for {
		var part string
		part, path = component(path)
		if part == "" {
			p.end = true
			return
		}
		var sub *paths
		if strings.ContainsAny(part, "?*[") {
			for _, g := range p.globs {
				if g.pattern == part {
					sub = g.sub
				}
			}
			if sub == nil {
				sub = &paths{}
				p.globs = append(p.globs, pathGlob{part, sub})
			}
		} else if sub = p.dirs[part]; sub == nil {
			if p.dirs == nil {
				p.dirs = map[string]*paths{}
			}
			sub = &paths{}
			p.dirs[part] = sub
		}
		p = sub
	}
}

func (p *paths) match(path string) bool {
	if p.end {
		return true
	}
	part, rest := component(path)
	if part == "" {
		return false
	}
	if sub := p.dirs[part]; sub != nil && sub.match(rest) {
		return true
	}
	for _, g := range p.globs {
		if glob(g.pattern, part, false) && g.sub.match(rest) {
			return true
		}
	}
	return false
}

// component cuts the first component off a path.
func component(path string) (part, rest string) {
	for path != "" && path[0] == '/' {
		path = path[1:]
	}
	if i := strings.IndexByte(path, '/'); i >= 0 {
		return path[:i], path[i:]
	}
	return path, ""
}
