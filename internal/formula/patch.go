package formula

import "github.com/expr-lang/expr/ast"

// The names of operators that are functions, because their results are checked. No signal can
// have such a name.
const (
	divide = "/"
	power  = "**"
)

// A patcher rewrites an expression: whole numbers become fractional ones, so that no product
// overflows and no quotient is rounded; the need of a signal becomes one name; and divisions
// and powers become calls.
type patcher struct{}

// Visit rewrites one part. Expr calls it for the parts of a part first.
func (patcher) Visit(node *ast.Node) { //nolint:gocritic // the interface of expr
	switch n := (*node).(type) {
	case *ast.IntegerNode:
		ast.Patch(node, &ast.FloatNode{Value: float64(n.Value)})
	case *ast.MemberNode:
		object, _ := n.Node.(*ast.IdentifierNode)
		property, _ := n.Property.(*ast.StringNode)
		if object != nil && property != nil {
			ast.Patch(node, &ast.IdentifierNode{Value: object.Value + "." + property.Value})
		}
	case *ast.BinaryNode:
		function := n.Operator
		if function == "^" {
			function = power
		}
		if function == divide || function == power {
			ast.Patch(node, &ast.CallNode{Callee: &ast.IdentifierNode{Value: function}, Arguments: []ast.Node{n.Left, n.Right}})
		}
	}
}
