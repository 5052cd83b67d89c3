// A server that speaks rawAppend and joins clips with ffmpeg, in a process of its own, for tests that kill it. Its arguments: a directory,
// and the program to take for ffmpeg. It sends its port, then the number of each video that has a new file.
import Fastify from 'fastify'
import { chunkedUpload, rawAppend } from '../../src/index.js'
import { ffmpeg } from '../../src/ffmpeg/index.js'

const [, , directory = '', program = ''] = process.argv
const app = Fastify({ logger: { level: 'error' } })
await app.register(chunkedUpload, {
  prefix: '/',
  directory: `${directory}/films`,
  protocols: [rawAppend({
    join: ffmpeg({ ffmpeg: program, directory: `${directory}/joining` }),
    onJoined: ({ video }) => { process.send?.({ joined: video.serial }) }
  })]
})
const url = await app.listen({ port: 0, host: '127.0.0.1' })
process.send?.({ port: Number(new URL(url).port) })
