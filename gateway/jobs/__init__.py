"""Scheduled jobs: what one is (`spec`), which planned times run (`slots`), what becomes of a run (`runs`), who may do
what with it (`book`). `gateway.cron` wakes them.
"""
