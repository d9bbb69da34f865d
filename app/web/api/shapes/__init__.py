"""The shapes of what the API takes and answers: the document is made of them, and tests hold every answer to them."""
