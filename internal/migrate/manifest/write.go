package manifest

import (
	"cmp"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/backlog-scaler/backlog-scaler/internal/migrate/builtin"
)

// A Change is what a trigger becomes.
type Change struct {
	// Index is the place of the trigger, from 0.
	Index int
	// Type is external or external-push.
	Type string
	// Comment says what the trigger was.
	Comment string
	Keys    []builtin.Pair
}

// Write returns the object with changed triggers. Whatever else is in its document stays as it is, down to
// blanks and comments. Where that cannot be, because of anchors, of fields that the API server has set or
// of the style of the list, the object is written again, with its comments.
func (s *Scaled) Write(changes []Change) (string, error) {
	isJSON := s.node.Style&yaml.FlowStyle != 0
	if isJSON {
		block(s.node)
	}
	for _, c := range changes {
		s.apply(c)
	}
	stripped := s.strip() || isJSON
	whole, err := encode(s.node)
	if err != nil {
		return "", err
	}
	if s.source != "" && !stripped {
		if spliced, err := s.splice(changes); err == nil && same(spliced, whole) {
			return spliced, nil
		}
	}
	return whole, nil
}

// apply changes the nodes of a trigger.
func (s *Scaled) apply(c Change) {
	node := s.Triggers[c.Index].node
	var kept []*yaml.Node
	for _, p := range pairs(node) {
		switch p[0].Value {
		case "useCachedMetrics", "authenticationRef":
			continue
		case "type":
			p[1].Value, p[1].Style, p[1].Tag = c.Type, 0, "!!str"
			comment := "# was: " + c.Comment + " (scaler migrate)"
			if node.Style&yaml.FlowStyle != 0 {
				node.LineComment = comment
			} else {
				p[1].LineComment = strings.TrimSpace(comment + " " + strings.TrimSpace(strings.TrimPrefix(p[1].LineComment, "#")))
			}
		case "metadata":
			setMetadata(p[1], c.Keys)
		}
		kept = append(kept, p[0], p[1])
	}
	node.Content = kept
}

// setMetadata replaces the keys of a mapping. Comments stay with the key that takes the place of theirs.
func setMetadata(node *yaml.Node, keys []builtin.Pair) {
	old := map[string][2]*yaml.Node{}
	for _, p := range pairs(node) {
		old[p[0].Value] = p
	}
	node.Content = nil
	for _, pair := range keys {
		key := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: pair.Key}
		value := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: pair.Value, Style: styleOf(pair.Value)}
		if was, ok := old[pair.Was]; ok && pair.Was != "" {
			key.HeadComment, key.LineComment = was[0].HeadComment, was[0].LineComment
			value.LineComment = was[1].LineComment
			if was[1].Kind == yaml.ScalarNode && was[1].Value == pair.Value && was[1].Tag == "!!str" && !oldBool(pair.Value) {
				value.Style = was[1].Style &^ yaml.TaggedStyle
			}
		}
		node.Content = append(node.Content, key, value)
	}
	node.Tag, node.Kind = "!!map", yaml.MappingNode
}

// plainText is a text that no YAML takes for anything else.
var plainText = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._/-]*(?::[A-Za-z0-9._/-]+)*$`)

func styleOf(text string) yaml.Style {
	switch {
	case strings.Contains(text, "\n"):
		return yaml.LiteralStyle
	case plainText.MatchString(text) && !oldBool(text) && !slices.Contains([]string{"true", "false", "null"}, strings.ToLower(text)):
		return 0
	default:
		return yaml.DoubleQuotedStyle
	}
}

// strip removes what the API server has set. It reports whether there was any.
func (s *Scaled) strip() bool {
	removed := remove(s.node, "status")
	metadata := field(s.node, "metadata")
	for _, key := range []string{"uid", "resourceVersion", "managedFields", "creationTimestamp", "generation", "selfLink"} {
		removed = remove(metadata, key) || removed
	}
	// It repeats the old triggers, with whatever secrets they had.
	removed = remove(field(metadata, "annotations"), "kubectl.kubernetes.io/last-applied-configuration") || removed
	if annotations := field(metadata, "annotations"); annotations != nil && len(annotations.Content) == 0 {
		remove(metadata, "annotations")
	}
	return removed
}

// block puts what was written as JSON into the usual style.
func block(n *yaml.Node) {
	n.Style &^= yaml.FlowStyle
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && !oldBool(n.Value) && !strings.Contains(n.Value, "\n") {
		n.Style = styleOf(n.Value)
	}
	for _, c := range n.Content {
		block(c)
	}
}

// remove removes a key of a mapping. It reports whether there was one.
func remove(node *yaml.Node, key string) bool {
	if node == nil || node.Kind != yaml.MappingNode {
		return false
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			node.Content = slices.Delete(node.Content, i, i+2)
			return true
		}
	}
	return false
}

// errShape is a document in which triggers cannot be replaced line by line.
var errShape = errors.New("not a list in block style")

// splice returns the text of the document with the changed triggers in place of the old ones.
func (s *Scaled) splice(changes []Change) (string, error) {
	sequence := field(s.node, "spec", "triggers")
	if sequence == nil || sequence.Style&yaml.FlowStyle != 0 {
		return "", errShape
	}
	lines := slices.Collect(strings.Lines(s.source))
	newline := "\n"
	if strings.HasSuffix(lines[0], "\r\n") {
		newline = "\r\n"
	}
	ordered := slices.Clone(changes)
	// From the last to the first, so that the lines before stay where they are.
	slices.SortFunc(ordered, func(a, b Change) int { return cmp.Compare(b.Index, a.Index) })
	for _, c := range ordered {
		node := s.Triggers[c.Index].node
		if node.Style&yaml.FlowStyle != 0 || node.Line == 0 {
			return "", errShape
		}
		first, indent := node.Line-1, node.Column-1
		end := trimEnd(lines, first, s.next(c.Index), indent)
		if end <= first || indent < 1 || indent > len(lines[first]) {
			return "", errShape
		}
		copied := *node
		copied.HeadComment, copied.FootComment = "", ""
		text, err := encode(&copied)
		if err != nil {
			return "", err
		}
		var replaced []string
		for i, line := range slices.Collect(strings.Lines(text)) {
			line = strings.TrimSuffix(line, "\n")
			switch {
			case i == 0:
				line = lines[first][:indent] + line
			case line != "":
				line = strings.Repeat(" ", indent) + line
			}
			replaced = append(replaced, line+newline)
		}
		lines = slices.Replace(lines, first, end, replaced...)
	}
	return strings.Join(lines, ""), nil
}

// next returns the index of the line of the first node after a trigger, or a number beyond the last line.
func (s *Scaled) next(index int) int {
	if index+1 < len(s.Triggers) {
		return s.Triggers[index+1].node.Line - 1
	}
	last := 1 << 30
	inside := s.Triggers[index].node
	var begin int
	var walk func(n *yaml.Node)
	// Nodes come in the order of the text: the first after the last line of the trigger is the next one.
	walk = func(n *yaml.Node) {
		if n == inside {
			begin = 1
			return
		}
		if begin == 1 && n.Line > inside.Line && n.Line-1 < last {
			last = n.Line - 1
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(s.node)
	return last
}

// trimEnd returns the end of the lines of a trigger: blank lines and comments before the next node that are
// not indented as deep as the trigger do not belong to it.
func trimEnd(lines []string, first, next, indent int) int {
	end := min(next, len(lines))
	for end > first+1 {
		line := strings.TrimRight(lines[end-1], "\r\n \t")
		depth := len(line) - len(strings.TrimLeft(line, " "))
		if line != "" && (!strings.HasPrefix(strings.TrimSpace(line), "#") || depth >= indent) && line != "..." {
			break
		}
		end--
	}
	return end
}

// same reports whether two texts are the same object.
func same(a, b string) bool {
	var x, y yaml.Node
	if yaml.Unmarshal([]byte(a), &x) != nil || yaml.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	return equal(&x, &y)
}

func equal(a, b *yaml.Node) bool {
	if a.Kind != b.Kind || a.Tag != b.Tag || a.Value != b.Value || len(a.Content) != len(b.Content) {
		return false
	}
	for i := range a.Content {
		if !equal(a.Content[i], b.Content[i]) {
			return false
		}
	}
	return true
}

// A Leak is a secret that stands in plain text in an object.
type Leak struct {
	Line int
	// Key is the key or the variable, or a few words for another place.
	Key string
}

// secretName is a key or a variable whose value is a secret as a rule.
var secretName = regexp.MustCompile(`(?i)(passw(or)?d|passwd|secret|token|api_?key|access_?key|private_?key|credential|sas_?key|connection_?string)s?$`)

// userinfo is a URL with a password, and pair an assignment of one.
var (
	userinfo = regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s@]*:[^/\s@]+@`)
	pair     = regexp.MustCompile(`(?i)\b(password|passwd|pwd|secret|token)\s*=\s*[^\s;&,'"$<=~]`)
)

// Leaks returns what looks like a secret in plain text in the object as Write has returned it.
func (s *Scaled) Leaks(written string) []Leak {
	found := map[Leak]bool{}
	s.leaks(s.node, found)
	for _, t := range s.Triggers {
		for _, p := range pairs(t.node, "metadata") {
			if secretName.MatchString(p[0].Value) {
				s.leak(p[0], p[1], found)
			}
		}
	}
	for line := range strings.Lines(written) {
		if _, comment, is := strings.Cut(line, "#"); is && (userinfo.MatchString(comment) || pair.MatchString(comment) || commented.MatchString(comment)) {
			found[Leak{s.Line, "a comment"}] = true
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b Leak) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Key, b.Key)) })
}

// commented is a key with a secret that was made a comment.
var commented = regexp.MustCompile(`(?i)(passw(or)?d|secret|token|api_?key|access_?key)["']?:\s*\S`)

// leaks walks over the nodes of the object.
func (s *Scaled) leaks(n *yaml.Node, found map[Leak]bool) {
	if n.Kind == yaml.ScalarNode && (userinfo.MatchString(n.Value) || pair.MatchString(n.Value)) {
		found[Leak{n.Line + s.offset, "a URL or an assignment"}] = true
	}
	if name := field(n, "name"); name != nil && secretName.MatchString(name.Value) && field(n, "value") != nil {
		s.leak(name, field(n, "value"), found)
	}
	for _, c := range n.Content {
		s.leaks(c, found)
	}
}

// leak adds a value, unless it is a reference to another variable.
func (s *Scaled) leak(key, value *yaml.Node, found map[Leak]bool) {
	if value.Kind == yaml.ScalarNode && value.Value != "" && !strings.HasPrefix(value.Value, "$(") {
		found[Leak{value.Line + s.offset, key.Value}] = true
	}
}
