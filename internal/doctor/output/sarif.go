package output

import (
	"io"
	"net/url"
	"path/filepath"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

// The parts of SARIF 2.1.0 that are used: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
type (
	sarif struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		Results     []sarifResult     `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version,omitempty"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string        `json:"id"`
		ShortDescription sarifText     `json:"shortDescription"`
		FullDescription  sarifText     `json:"fullDescription"`
		Help             sarifText     `json:"help"`
		HelpURI          string        `json:"helpUri"`
		Default          sarifSeverity `json:"defaultConfiguration"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifSeverity struct {
		Level string `json:"level"`
	}
	// A sarifInvocation says whether all was read, and what was not.
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications"`
	}
	sarifNotification struct {
		Level   string    `json:"level"`
		Message sarifText `json:"message"`
		Rule    *sarifID  `json:"associatedRule,omitempty"`
	}
	sarifID struct {
		ID string `json:"id"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		Level        string             `json:"level"`
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	}
	sarifLocation struct {
		Physical *sarifPhysical `json:"physicalLocation,omitempty"`
		Logical  []sarifLogical `json:"logicalLocations"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifLogical struct {
		Name               string `json:"name"`
		FullyQualifiedName string `json:"fullyQualifiedName"`
		Kind               string `json:"kind"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Justification string `json:"justification"`
	}
)

const sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

// level returns the level of SARIF for a severity.
func level(s doctor.Severity) string {
	if s == doctor.Info {
		return "note"
	}
	return s.String()
}

func writeSARIF(out io.Writer, r *doctor.Report, version string) error {
	run := sarifRun{Results: []sarifResult{}}
	invocation := sarifInvocation{Successful: len(r.Incomplete) == 0, Notifications: []sarifNotification{}}
	run.Tool.Driver = sarifDriver{Name: "scaler doctor", Version: version, InformationURI: "https://github.com/backlog-scaler/backlog-scaler"}
	for i := range r.Results {
		result := &r.Results[i]
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
			ID: result.Code, ShortDescription: sarifText{result.Title}, FullDescription: sarifText{result.Why},
			Help: sarifText{result.Change}, HelpURI: result.Link(), Default: sarifSeverity{level(result.Severity)},
		})
		for _, why := range lines(result.Skipped) {
			invocation.Notifications = append(invocation.Notifications, sarifNotification{"note", sarifText{"skipped: " + why}, &sarifID{result.Code}})
		}
		for j := range result.Findings {
			run.Results = append(run.Results, toSARIF(&result.Findings[j]))
		}
	}
	for _, text := range lines(r.Incomplete) {
		invocation.Notifications = append(invocation.Notifications, sarifNotification{"error", sarifText{text}, nil})
	}
	run.Invocations = []sarifInvocation{invocation}
	return encode(out, sarif{Schema: sarifSchema, Version: "2.1.0", Runs: []sarifRun{run}})
}

func toSARIF(f *doctor.Finding) sarifResult {
	named := doctor.Finding{Place: object.Place{Kind: f.Kind, Namespace: f.Namespace, Name: f.Name}, Field: f.Field}
	location := sarifLocation{Logical: []sarifLogical{{Name: backlog.Line(f.Name), FullyQualifiedName: place(&named), Kind: "resource"}}}
	if f.File != "" {
		location.Physical = &sarifPhysical{Artifact: sarifArtifact{(&url.URL{Path: filepath.ToSlash(f.File)}).String()}}
		if f.Line > 0 {
			location.Physical.Region = &sarifRegion{f.Line}
		}
	}
	result := sarifResult{
		RuleID: f.Code, Level: level(f.Severity), Locations: []sarifLocation{location},
		Message: sarifText{backlog.Line(f.String() + ": " + f.What + ". " + f.Change)},
	}
	if f.Ignored != "" {
		result.Suppressions = []sarifSuppression{{Kind: "inSource", Justification: backlog.Line(f.Ignored)}}
	}
	return result
}
