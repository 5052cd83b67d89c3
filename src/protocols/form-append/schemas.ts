import { Type } from '@sinclair/typebox'
import type { FastifySchema } from 'fastify'

const record = Type.Object({
  id: Type.Integer(),
  upload_id: Type.String({ format: 'uuid' }),
  file: Type.String(),
  filename: Type.String(),
  offset: Type.Integer({ description: 'Bytes stored' }),
  status: Type.Integer({ description: '1 uploading, 2 complete' }),
  created_at: Type.String({ format: 'date-time' }),
  completed_at: Type.Union([Type.String({ format: 'date-time' }), Type.Null()])
})

const uploadId = Type.Object({ upload_id: Type.String() })

export const chunkSchema: FastifySchema = {
  summary: 'Store a chunk',
  body: {
    content: {
      'multipart/form-data': {
        schema: Type.Object({
          file: Type.String({ format: 'binary' }),
          upload_id: Type.Optional(Type.String({ description: 'Of the first answer; left out to start a new upload' })),
          filename: Type.Optional(Type.String({ description: 'Of a new upload' })),
          offset: Type.Optional(Type.String({ description: 'Byte at which the chunk starts: makes a repeat harmless' }))
        })
      }
    }
  },
  response: { 200: record }
}

export const completeSchema: FastifySchema = {
  summary: 'Complete an upload',
  body: {
    content: {
      'application/json': { schema: uploadId },
      'application/x-www-form-urlencoded': { schema: uploadId },
      'multipart/form-data': { schema: uploadId }
    }
  }
}

export const listSchema: FastifySchema = { summary: 'List completed uploads', response: { 200: Type.Array(record) } }

export const downloadSchema: FastifySchema = { summary: 'Download a completed upload', params: Type.Object({ id: Type.String() }) }
