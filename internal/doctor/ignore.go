package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
	"github.com/backlog-scaler/backlog-scaler/internal/spelling"
)

// IgnoreAnnotation is the annotation that ignores findings about its object: codes, each with a reason.
const IgnoreAnnotation = "backlog-scaler.github.io/doctor-ignore"

// codeIgnore is the code of annotations that cannot be read. It cannot be ignored.
const codeIgnore = "D901"

// ignores are what the annotation of an object ignores.
type ignores struct {
	// reasons are those of the codes.
	reasons map[string]string
	// faults say what is wrong with the annotation.
	faults []string
}

// parseIgnores parses the annotation of an object: "S204: a poll is soon enough; W302: ...".
func parseIgnores(o *object.Object) ignores {
	text := o.Annotations()[IgnoreAnnotation]
	if text == "" {
		return ignores{}
	}
	parsed := ignores{reasons: make(map[string]string)}
	codes := Codes()
	for entry := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(entry) == "" {
			continue
		}
		code, reason, _ := strings.Cut(entry, ":")
		code, reason = strings.TrimSpace(code), strings.TrimSpace(reason)
		switch {
		case !slices.Contains(codes, code):
			hint := ""
			if near := spelling.Nearest(code, codes); near != "" {
				hint = fmt.Sprintf("; did you mean %s?", near)
			}
			parsed.faults = append(parsed.faults, fmt.Sprintf("unknown code %q, want one of docs/doctor.md%s", code, hint))
		case code == codeIgnore:
			parsed.faults = append(parsed.faults, codeIgnore+" cannot be ignored")
		case reason == "":
			parsed.faults = append(parsed.faults, fmt.Sprintf("%s has no reason, want %s: REASON", code, code))
		default:
			parsed.reasons[code] = reason
		}
	}
	return parsed
}

// annotationChecks are about what authors write for scaler doctor.
func annotationChecks() []Check {
	return []Check{{
		Code: codeIgnore, Title: "An annotation for scaler doctor that cannot be read", Severity: Error, Offline: true, reads: triggerKinds(),
		Why:    "A finding that should be ignored is not, or a code with a spelling mistake ignores nothing while its author believes that it does.",
		Change: "Write codes of this page, each with a reason: \"S204: a poll is soon enough; W302: the first replicas\". A duration is one such as 10m.",
		find: func(v *view, found *findings) {
			for i := range v.Objects {
				o := &v.Objects[i]
				if v.Owner(o) != nil {
					continue // KEDA copies the annotations of a ScaledObject to its HPA
				}
				for _, fault := range v.ignores[o].faults {
					found.add(o, "metadata.annotations."+IgnoreAnnotation, "", "%s", fault)
				}
				if text := o.Annotations()[facts.DurationAnnotation]; text != "" && facts.StatedDuration(o) == 0 {
					found.add(o, "metadata.annotations."+facts.DurationAnnotation, "", "%s %q: want a duration such as 90s or 10m", facts.DurationAnnotation, text)
				}
			}
		},
	}}
}
