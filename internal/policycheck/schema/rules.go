package schema

import (
	"maps"
	"time"
)

// A rule repeats a validation rule of the definition.
type rule struct {
	// holds reports whether a value that is otherwise right complies. An object has its defaults.
	holds func(self any) bool
	// fields are those that the rule is about; none for the value itself.
	fields []string
}

// rules returns the repetitions, by the text of the rule.
func rules() map[string]rule {
	all := make(map[string]rule)
	for _, part := range []map[string]rule{policyRules(), signalRules(), scheduleRules()} {
		maps.Copy(all, part)
	}
	return all
}

// policyRules are those of the whole policy, its workload, steps, limiters and busy pods.
func policyRules() map[string]rule {
	return map[string]rule{
		"self.minReplicas <= self.maxReplicas": {func(self any) bool {
			o := objectOf(self)
			return o.integer("minReplicas") <= o.integer("maxReplicas")
		}, []string{"minReplicas", "maxReplicas"}},
		"has(self.signals) || has(self.schedules)": {func(self any) bool {
			o := objectOf(self)
			return o.has("signals") || o.has("schedules")
		}, []string{"signals", "schedules"}},
		"self.via != 'Scale' || self.jump == 'Never'": {func(self any) bool {
			o := objectOf(self)
			return o.text("via") != "Scale" || o.text("jump") == "Never"
		}, []string{"jump"}},
		"self.via != 'KEDA' || !has(self.steps) || ((!has(self.steps.up) || self.steps.up.period >= duration('15s')) && (!has(self.steps.down) || self.steps.down.period >= duration('15s')))": {func(self any) bool {
			o := objectOf(self)
			const least = 15 * time.Second
			up, down := o.object("steps").object("up"), o.object("steps").object("down")
			return o.text("via") != "KEDA" || (up == nil || up.length("period") >= least) && (down == nil || down.length("period") >= least)
		}, []string{"steps"}},
		"!(self.kind in ['AutoscalerPolicy', 'ScaledObject', 'HorizontalPodAutoscaler'])": {func(self any) bool {
			switch objectOf(self).text("kind") {
			case "AutoscalerPolicy", "ScaledObject", "HorizontalPodAutoscaler":
				return false
			}
			return true
		}, []string{"kind"}},
		"has(self.pods) || has(self.percent)": {func(self any) bool {
			o := objectOf(self)
			return o.has("pods") || o.has("percent")
		}, []string{"pods", "percent"}},
		"self.action == 'Ceiling' ? has(self.ceiling) : !has(self.ceiling)": {func(self any) bool {
			o := objectOf(self)
			return (o.text("action") == "Ceiling") == o.has("ceiling")
		}, []string{"ceiling"}},
		"(self.from == 'HTTP') == has(self.http)": {func(self any) bool {
			o := objectOf(self)
			return (o.text("from") == "HTTP") == o.has("http")
		}, []string{"http"}},
		"(self.from == 'Annotation') == has(self.annotation)": {func(self any) bool {
			o := objectOf(self)
			return (o.text("from") == "Annotation") == o.has("annotation")
		}, []string{"annotation"}},
		"self.from == 'Queue' || !has(self.signal)": {func(self any) bool {
			o := objectOf(self)
			return o.text("from") == "Queue" || !o.has("signal")
		}, []string{"signal"}},
	}
}

func signalRules() map[string]rule {
	return map[string]rule{
		"self.whenUnknown == 'Value' ? has(self.value) : !has(self.value)": {func(self any) bool {
			o := objectOf(self)
			return (o.text("whenUnknown") == "Value") == o.has("value")
		}, []string{"value"}},
		"self >= duration('1s')": {func(self any) bool { return lengthOf(self) >= time.Second }, nil},
	}
}

func scheduleRules() map[string]rule {
	return map[string]rule{
		"has(self.start) != has(self.from)": {func(self any) bool {
			o := objectOf(self)
			return o.has("start") != o.has("from")
		}, []string{"start", "from", "start and from"}},
		"has(self.start) ? has(self.end) != has(self.duration) && !has(self.until) : has(self.until) && !has(self.end) && !has(self.duration)": {func(self any) bool {
			o := objectOf(self)
			if o.has("start") {
				return o.has("end") != o.has("duration") && !o.has("until")
			}
			return o.has("until") && !o.has("end") && !o.has("duration")
		}, []string{"start", "start and from", "end", "end and duration", "duration", "until"}},
		"!has(self.start) || has(self.timeZone)": {func(self any) bool {
			o := objectOf(self)
			return !o.has("start") || o.has("timeZone")
		}, []string{"timeZone"}},
		"!has(self.until) || !has(self.from) || self.from < self.until": {func(self any) bool {
			o := objectOf(self)
			return !o.has("until") || !o.has("from") || o.moment("from").Before(o.moment("until"))
		}, []string{"from", "until"}},
		"has(self.exact) ? !has(self.floor) && !has(self.ceiling) : has(self.floor) || has(self.ceiling)": {func(self any) bool {
			o := objectOf(self)
			return o.has("exact") != (o.has("floor") || o.has("ceiling"))
		}, []string{"exact", "floor"}},
		"!has(self.floor) || !has(self.ceiling) || self.floor <= self.ceiling": {func(self any) bool {
			o := objectOf(self)
			return !o.has("floor") || !o.has("ceiling") || o.integer("floor") <= o.integer("ceiling")
		}, []string{"floor"}},
		"self >= duration('1m') && self <= duration('744h')": {func(self any) bool {
			length := lengthOf(self)
			return length >= time.Minute && length <= 744*time.Hour
		}, nil},
		"self != 'Local'": {func(self any) bool { return self != "Local" }, nil},
	}
}

// An object is a value with fields. Without the field, a method returns zero.
type object map[string]any

func objectOf(value any) object {
	fields, _ := value.(map[string]any)
	return fields
}

func (o object) has(field string) bool {
	_, found := o[field]
	return found
}

// object returns a field that is an object; nil if there is none.
func (o object) object(field string) object { return objectOf(o[field]) }

func (o object) text(field string) string {
	text, _ := o[field].(string)
	return text
}

func (o object) integer(field string) int64 {
	value, _ := o[field].(int64)
	return value
}

func (o object) length(field string) time.Duration { return lengthOf(o[field]) }

func (o object) moment(field string) time.Time {
	at, err := time.Parse(time.RFC3339, o.text(field))
	if err != nil {
		return time.Time{}
	}
	return at
}

// lengthOf returns a length of time; zero if the value is none.
func lengthOf(value any) time.Duration {
	text, _ := value.(string)
	length, err := time.ParseDuration(text)
	if err != nil {
		return 0
	}
	return length
}
