package faults

import (
	"fmt"
	"slices"
	"strings"
)

// Table returns the rows of the table of docs/faults.md, the head first: a row for each engine, a column for
// each fault.
func Table(results []Result) [][]string {
	head := []string{"engine", "tried on"}
	for _, f := range All() {
		head = append(head, string(f))
	}
	rows := [][]string{head}
	for _, engine := range Engines() {
		row := []string{"`" + engine + "`", strings.Join(titles(results, engine), ", ")}
		for _, f := range All() {
			cell := "–"
			for _, r := range results {
				if o, found := r.Outcomes[f]; found && r.Engine == engine {
					cell = o.String()
				}
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	return rows
}

// Engines returns the names of the engines in the order of the table.
func Engines() []string {
	var all []string
	for _, s := range Scenes() {
		if !slices.Contains(all, s.Engine) {
			all = append(all, s.Engine)
		}
	}
	return all
}

func titles(results []Result, engine string) []string {
	var all []string
	for _, r := range results {
		if r.Engine == engine {
			all = append(all, r.Title)
		}
	}
	return all
}

// dependsOnTime reports whether the machine decides how calls are answered while a fault lasts: whether a
// server is replaced, or can be reached for long enough, before the last value is too old.
func dependsOnTime(f Fault) bool { return f == Failover || f == Flapping }

// Compare compares the rows of a table with those of the documentation, and returns how they differ. Times are
// those of one machine, and are not compared.
func Compare(documented, now [][]string) []string {
	var differences []string
	cells := func(rows [][]string) map[string]string {
		all := map[string]string{}
		for _, row := range rows[min(1, len(rows)):] {
			for i, f := range All() {
				if len(row) == len(All())+2 && !dependsOnTime(f) {
					answers, _, _ := strings.Cut(row[i+2], ";")
					all[row[0]+": "+string(f)] = answers
				}
			}
		}
		return all
	}
	before, after := cells(documented), cells(now)
	for place, answers := range after {
		if before[place] != answers {
			differences = append(differences, fmt.Sprintf("%s: documented is %q, and it is %q", place, before[place], answers))
		}
	}
	slices.Sort(differences)
	return differences
}
