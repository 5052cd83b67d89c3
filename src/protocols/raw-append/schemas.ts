import { Type } from '@sinclair/typebox'
import type { FastifySchema } from 'fastify'

// Any text: what is no integer names no video, and is answered as an unknown one.
const params = Type.Object({ id: Type.String({ description: 'video_id' }) })

export const createSchema: FastifySchema = { summary: 'Create a video', response: { 201: Type.Object({ video_id: Type.Integer() }) } }

export const appendSchema: FastifySchema = {
  summary: 'Append to a video',
  params,
  body: { content: { 'application/octet-stream': { schema: Type.String({ format: 'binary' }) } } },
  response: { 200: Type.Object({ message: Type.String() }) }
}

export const downloadSchema: FastifySchema = { summary: 'Download a video', params }
