import { relative } from 'node:path'
import ts from 'typescript'

/** What an entry of the package exports names, and does not export: types that a host cannot write down. */
export interface Unexported {
  /** `Name (file)`, in order. */
  readonly types: readonly string[]
  /** Types that were looked at. */
  readonly seen: number
}

/**
 * Walks what is declared by the exports of `entries`, and by all types that these name.
 * @param root the project, whose `src/` holds the types that count
 */
export function unexportedTypes (root: string, entries: readonly string[]): Unexported {
  const program = ts.createProgram(entries, {
    module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ES2022, strict: true, skipLibCheck: true, noEmit: true, types: ['node']
  })
  const checker = program.getTypeChecker()
  const real = (symbol: ts.Symbol): ts.Symbol => symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
  const exported = new Set<ts.Symbol>()
  for (const entry of entries) {
    const file = program.getSourceFile(entry)
    const module = file && checker.getSymbolAtLocation(file)
    for (const symbol of module === undefined ? [] : checker.getExportsOfModule(module)) exported.add(real(symbol))
  }

  const seen = new Set<ts.Symbol>()
  const missing = new Set<string>()
  const visit = (symbol: ts.Symbol): void => {
    if (seen.has(symbol)) return
    seen.add(symbol)
    const declarations = symbol.declarations ?? []
    // A type of another package stays one where `declare module` adds to it.
    if (declarations.some(declaration => !relative(root, declaration.getSourceFile().fileName).startsWith('src/'))) return
    for (const declaration of declarations) {
      const file = relative(root, declaration.getSourceFile().fileName)
      if (ts.isTypeParameterDeclaration(declaration)) continue
      if (!exported.has(symbol)) missing.add(`${symbol.name} (${file})`)
      if (!ts.isSourceFile(declaration)) walk(declaration)
    }
  }
  const walk = (node: ts.Node): void => {
    if (ts.isBlock(node) || isHidden(node)) return
    const name = ts.isTypeReferenceNode(node) ? node.typeName : ts.isExpressionWithTypeArguments(node) ? node.expression : undefined
    const symbol = name && checker.getSymbolAtLocation(name)
    if (symbol !== undefined) visit(real(symbol))
    ts.forEachChild(node, child => { if (!isValue(node, child)) walk(child) })
  }
  for (const symbol of exported) visit(symbol)
  return { types: [...missing].sort(), seen: seen.size }
}

/** Members that no user of the type sees. */
function isHidden (node: ts.Node): boolean {
  if (!ts.isClassElement(node)) return false
  return (node.name !== undefined && ts.isPrivateIdentifier(node.name)) ||
    (ts.canHaveModifiers(node) && (ts.getModifiers(node) ?? []).some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword))
}

/** What a declaration starts with is no part of its type. */
function isValue (parent: ts.Node, child: ts.Node): boolean {
  return 'initializer' in parent && parent.initializer === child
}
