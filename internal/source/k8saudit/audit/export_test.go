// SPDX-License-Identifier: Apache-2.0

package audit

// FieldNames returns the names of all fields.
func FieldNames() []string {
	var names []string
	for _, f := range fieldDefs {
		names = append(names, f.name)
	}
	return names
}
