"""What a listening test is: items, conditions, pages, questions."""
