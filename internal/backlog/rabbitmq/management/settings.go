package management

import (
	"cmp"
	"errors"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/httpapi"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/dialer"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/tlsconfig"
)

// CheckSettings reports what is wrong with the address and the user of the management API in the settings
// of a connection that has one. The error names the settings by the engine's names.
func CheckSettings(s backlog.Settings) error {
	if problem := httpapi.CheckSettings(apiSettings(s)); problem != nil {
		return errors.New(renamed(problem.Error()))
	}
	return nil
}

// apiSettings returns the settings of the management API by the names of httpapi.
func apiSettings(s backlog.Settings) backlog.Settings {
	values := map[string]any{
		"url":           s.Text("managementURL"),
		"username":      s.Text("username"),
		"password":      s.Secret("password"),
		"answerTimeout": cmp.Or(s.Duration("answerTimeout"), dialer.AnswerTimeout),
	}
	if user := s.Text("managementUsername"); user != "" {
		values["username"], values["password"] = user, s.Secret("managementPassword")
	}
	if strings.HasPrefix(strings.ToLower(s.Text("managementURL")), "https:") {
		for _, p := range tlsconfig.Settings("") {
			switch p.Kind {
			case backlog.KindFile:
				values[p.Name] = s.File(p.Name)
			case backlog.KindBool:
				values[p.Name] = s.Bool(p.Name)
			default:
				values[p.Name] = s.Text(p.Name)
			}
		}
	}
	return backlog.NewSettings(values)
}

// renamed returns a text of httpapi with the names of the engine's settings.
func renamed(text string) string {
	return strings.NewReplacer(
		"username and password, or token:", "managementUsername and managementPassword, or username and password:",
		"user or token", "user",
		"url:", "managementURL:",
		"username:", "managementUsername:",
		"password:", "managementPassword:",
	).Replace(text)
}
