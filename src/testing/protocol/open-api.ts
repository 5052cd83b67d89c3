import assert from 'node:assert/strict'

/** What OpenAPI 3 asks of a document's paths, and generators of clients trip over. */
export function checkOpenApi (document: unknown): void {
  const { openapi, info, paths } = Object(document)
  assert.match(String(openapi), /^3\./, 'openapi')
  assert.ok(typeof Object(info).title === 'string', 'info.title')
  const ids = new Set<string>()
  assert.ok(Object.keys(Object(paths)).length > 0, 'the document has no path')
  for (const [path, item] of Object.entries(Object(paths))) {
    for (const [method, operation] of Object.entries(Object(item))) {
      const where = `${method} ${path}`
      const { parameters = [], responses, operationId } = Object(operation)
      assert.ok(Object.keys(Object(responses)).length > 0, `${where} has no responses`)
      if (operationId !== undefined) {
        assert.ok(!ids.has(operationId), `${where}: operationId ${String(operationId)} comes twice`)
        ids.add(operationId)
      }
      const named = new Set(Array.isArray(parameters) ? parameters.filter(one => one.in === 'path').map(one => String(one.name)) : [])
      const wanted = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name)
      assert.deepEqual([...named].sort(), wanted.sort(), `${where}: parameters of the path`)
    }
  }
}
