"""Files of a traced dish: tables, trees, graph of touches."""
