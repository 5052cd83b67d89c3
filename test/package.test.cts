import t from 'tap'

t.test('require by the own name of the package loads its CommonJS build', async t => {
  t.match(require.resolve('fastify-chunked-upload'), /dist\/commonjs\/index\.js$/)
  const { default: chunkedUpload } = require('fastify-chunked-upload')
  t.type(chunkedUpload, 'function')
  t.equal(chunkedUpload.name, 'fastifyChunkedUpload')
})

t.test('require of the adapter kit loads its CommonJS build', async t => {
  t.match(require.resolve('fastify-chunked-upload/testing'), /dist\/commonjs\/testing\/index\.js$/)
  t.match(require('fastify-chunked-upload/testing'), { newUpload: Function })
})
