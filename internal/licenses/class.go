package licenses

import (
	"slices"
	"strings"
)

// Allowed are the classes of licences under which code may be linked, by their SPDX names.
// With MPL-2.0 the source has to be available, which is why the files name the versions.
func Allowed() []string {
	return []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0"}
}

// classify returns the classes of the licences in a text, which may hold several. Of what
// is no licence, such as a notice, there is none; an unknown licence is one too.
func classify(text string) []string {
	text = strings.Join(strings.Fields(strings.ToLower(text)), " ")
	has := func(words string) bool { return strings.Contains(text, words) }
	var classes []string
	add := func(class string, found bool) {
		if found {
			classes = append(classes, class)
		}
	}
	add("Apache-2.0", has("apache license version 2.0") || has("licensed under the apache license, version 2.0"))
	redistribution := has("redistribution and use in source and binary forms, with or without modification")
	clause3 := has("endorse or promote products derived from")
	add("BSD-2-Clause", redistribution && !clause3)
	add("BSD-3-Clause", redistribution && clause3)
	add("ISC", has("permission to use, copy, modify, and/or distribute this software for any purpose with or without fee"))
	add("MIT", has("permission is hereby granted, free of charge, to any person obtaining a copy"))
	add("MPL-2.0", has("mozilla public license version 2.0"))
	for _, copyleft := range []struct{ class, words string }{
		{"AGPL", "gnu affero general public license version"},
		{"LGPL", "gnu lesser general public license version"},
		{"GPL", "gnu general public license version"},
		{"SSPL", "server side public license"},
		{"BUSL", "business source license"},
	} {
		add(copyleft.class, has(copyleft.words))
	}
	return classes
}

// Classes returns the classes of all texts of a component, each once, in order.
func (c Component) Classes() []string {
	var classes []string
	for _, t := range c.Texts {
		classes = append(classes, classify(t.Text)...)
	}
	slices.Sort(classes)
	return slices.Compact(classes)
}
