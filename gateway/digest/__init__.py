"""The daily digest: whose it is (`whose`), what it tells (`facts`), in which words (`compose`), one line for each
conversation (`summaries`), made in a turn of a job (`maker`), set by people and by the operator (`book`).
"""
